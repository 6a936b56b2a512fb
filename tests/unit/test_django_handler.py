"""Django answers a request in one thread, from its first middleware to its view."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django import Settings

from infra.django_handler import InOneThread
from tests.support.asgi import HOST, AsgiRequest

threads: list[int] = []


def page(request: HttpRequest) -> HttpResponse:
    threads.append(threading.get_ident())
    return HttpResponse("shown")


urlpatterns = [path("page", page)]


async def test_a_request_goes_to_its_thread_and_comes_back_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = __name__, [HOST]
    ways_back: list[Callable[..., Any]] = []
    loop = asyncio.get_running_loop()
    come_back = loop.call_soon_threadsafe

    def counted(callback: Callable[..., Any], *args: Any, **options: Any) -> asyncio.Handle:
        if threading.get_ident() != here:
            ways_back.append(callback)
        return come_back(callback, *args, **options)

    here = threading.get_ident()
    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    request = AsgiRequest(InOneThread(), "/page", "", {})
    await request.task
    start, *_ = request.sent
    assert start["status"] == 200
    assert threads != [here]
    # Once with the answer, and as often as Django closes it.
    assert len(ways_back) <= 3
