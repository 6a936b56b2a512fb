"""Pages rendered and compressed once a publication, language and choice, and kept for the next reader.

A page holds nothing of its reader but what its address, and where it reads one its cookie, chose: no user, no token, no
nonce. So its compressed bytes are the same for all, and a secret of one reader cannot be guessed from their length.

What a client requests of pages that nobody has rendered is rendered one after another: whoever makes up ever new ones
waits for themselves, and takes a single thread from others.
"""

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers

from infra import addresses, static_files
from infra.rest.caching import takes_gzip
from pages.languages import Language
from pages.memory import Current

# Makes what is held while something is rendered for a client.
Turn: TypeAlias = Callable[[], AbstractContextManager[object]]
# Of some 50 KB each. A stranger's choices push out those that nobody requested since: they cost time, not memory.
_MOST_KEPT: Final = 128
# Of a client; each holds a thread, also once the client is gone.
_MOST_IN_LINE: Final = 100


class Rendered(NamedTuple):
    """A page as it is sent, with and without compression."""

    plain: bytes
    small: bytes
    etag: str


class TooManyAtOnceError(Exception):
    """A client has requested more pages than are kept waiting for it."""


class _Client:
    """A client that is in line: what is rendered for it waits for what was before."""

    def __init__(self) -> None:
        self._rendering = Lock()
        self._counting = Lock()
        self._count = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the client's turn, and hold it. Raises TooManyAtOnceError where too many wait for theirs."""
        with self._counting:
            if self._count >= _MOST_IN_LINE:
                raise TooManyAtOnceError
            self._count += 1
        try:
            with self._rendering:
                yield
        finally:
            with self._counting:
                self._count -= 1


class Turns:
    """The clients that are in line."""

    def __init__(self) -> None:
        self._clients: WeakValueDictionary[str, _Client] = WeakValueDictionary()
        self._lock = Lock()

    @contextmanager
    def of(self, client: str) -> Iterator[None]:
        """Hold a client's turn while something is rendered for it."""
        with self._lock:
            found = self._clients.setdefault(client, _Client())
        with found.turn():
            yield


class _Choice:
    """The page of a choice, once it is rendered. All who want it meanwhile wait for one rendering."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._page: Rendered | None = None

    def page(self, render: Callable[[], str], turn: Turn) -> Rendered:
        if self._page is None:
            # The turn comes first: nobody waits for what is rendered once another client's other pages are.
            with turn(), self._lock:
                if self._page is None:
                    self._page = encoded(render())
        return self._page


class Pages:
    """The newest pages of this process: those of one version of what they show, and of the choices made last."""

    def __init__(self) -> None:
        self._version: object = None
        # The one requested last is at the end.
        self._choices: OrderedDict[Hashable, _Choice] = OrderedDict()
        self._lock = Lock()

    def get(self, version: object, choice: Hashable, render: Callable[[], str], turn: Turn) -> Rendered:
        """The page of a choice as of a version, rendered unless it was before, which takes a client's turn."""
        with self._lock:
            if version != self._version:
                self._version = version
                self._choices.clear()
            kept = self._choices.setdefault(choice, _Choice())
            self._choices.move_to_end(choice)
            if len(self._choices) > _MOST_KEPT:
                self._choices.popitem(last=False)
        return kept.page(render, turn)


_pages = Pages()
_turns = Turns()


def turn(request: HttpRequest) -> AbstractContextManager[None]:
    """The turn of a request's client, to hold while something is rendered for it alone."""
    address = addresses.of_meta(request.META, settings.TRUSTED_PROXIES)
    return _turns.of(addresses.client_key(address) if address else "")


def in_turn(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a page that takes turns answer 429 where too many of its client's wait for theirs."""

    @wraps(view)
    def waiting(request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **options)
        except TooManyAtOnceError:
            return HttpResponse(
                "Too many pages at once are requested from this address. Try again in a minute.\n",
                content_type="text/plain",
                status=HTTPStatus.TOO_MANY_REQUESTS,
                headers={"Retry-After": "60"},
            )

    return waiting


def respond(
    request: HttpRequest,
    template: str,
    current: Current,
    language: Language,
    choice: Hashable,
    context: Callable[[], Mapping[str, Any]],
) -> HttpResponseBase:
    """Answer with a page of what is shown now; `choice` is all else that the page depends on, normalised.

    `context` is called, and the template rendered, in the language. A browser that has the page as it is gets 304.
    """

    def render() -> str:
        shared = {"current": current, "language": language, "release": static_files.release()}
        with translation.override(language.code):
            return render_to_string(template, {**shared, **context()})

    if current.version is None:
        with turn(request):
            page = encoded(render())
    else:
        page = _pages.get(current.version, (template, language.code, choice), render, lambda: turn(request))
    return answer(request, page, *language.varies_on)


def answer(request: HttpRequest, page: Rendered, *varies_on: str) -> HttpResponseBase:
    """Answer with a page that depends on these headers, or with 304. A cache asks each time whether it has changed."""
    is_small = takes_gzip(request.headers.get("Accept-Encoding", ""))
    response = HttpResponse(page.small if is_small else page.plain, headers={"ETag": page.etag})
    if is_small:
        response["Content-Encoding"] = "gzip"
    response["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Encoding", *varies_on])
    return get_conditional_response(request, etag=page.etag, response=response) or response


def encoded(page: str) -> Rendered:
    """A page as it is sent."""
    plain = page.encode()
    digest = hashlib.sha256(plain).hexdigest()[:32]
    # Weak, since compressed or not it is the same page.
    return Rendered(plain, gzip.compress(plain, compresslevel=6, mtime=0), f'W/"{digest}"')
