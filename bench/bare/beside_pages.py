"""Ours, with one page more behind the same middleware: the measure for the board."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from swarna.urls import urlpatterns as ours


def page(request: HttpRequest) -> HttpResponse:
    """A page of `bytes` bytes, which are there already."""
    return HttpResponse(b"x" * int(request.GET["bytes"]))


urlpatterns = [path("bare/", page), *ours]
