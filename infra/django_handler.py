"""Django as an ASGI application, each of whose requests is answered in one thread from its beginning to its end."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class InOneThread(ASGIHandler):
    """As Django's own, which goes to a thread and comes back to the event loop for most middleware.

    That takes half of the time of a small answer; and beside pages that are being rendered most of it, as each way
    waits for them, and each way back for a loop that has the stream to serve.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
