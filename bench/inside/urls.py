"""Ours, and the one address."""

import asyncio
import gc
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from swarna.urls import handler400, handler403, handler500
from swarna.urls import urlpatterns as ours

__all__ = ["handler400", "handler403", "handler500", "urlpatterns"]


async def inside(request: HttpRequest) -> HttpResponse:
    """The tasks of the event loop, and the memory blocks in use.

    With `?collect` after a collection of garbage, and with the number of objects that it found.
    """
    garbage = {"garbage": gc.collect()} if "collect" in request.GET else {}
    return JsonResponse({"tasks": len(asyncio.all_tasks()), "blocks": sys.getallocatedblocks(), **garbage})


urlpatterns = [path("inside/", inside), *ours]
