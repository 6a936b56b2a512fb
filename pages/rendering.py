"""Pages rendered and compressed once a publication, language and choice, and kept for the next reader.

A page holds nothing of its reader but what its address, and where it reads one its cookie, chose: no user, no token, no
nonce. So its compressed bytes are the same for all, and a secret of one reader cannot be guessed from their length.
"""

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from threading import Lock
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers

from infra import static_files
from pages.languages import Language
from pages.memory import Current

# Of some 50 KB each. A stranger's choices push out those that nobody requested since: they cost time, not memory.
_MOST_KEPT: Final = 128


class Rendered(NamedTuple):
    """A page as it is sent, with and without compression."""

    plain: bytes
    small: bytes
    etag: str


class _Choice:
    """The page of a choice, once it is rendered. All who want it meanwhile wait for one rendering."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._page: Rendered | None = None

    def page(self, render: Callable[[], str]) -> Rendered:
        with self._lock:
            if self._page is None:
                self._page = _encoded(render())
            return self._page


class Pages:
    """The newest pages of this process: those of one version of what they show, and of the choices made last."""

    def __init__(self) -> None:
        self._version: object = None
        # The one requested last is at the end.
        self._choices: OrderedDict[Hashable, _Choice] = OrderedDict()
        self._lock = Lock()

    def get(self, version: object, choice: Hashable, render: Callable[[], str]) -> Rendered:
        """The page of a choice as of a version, rendered unless it was before."""
        with self._lock:
            if version != self._version:
                self._version = version
                self._choices.clear()
            kept = self._choices.setdefault(choice, _Choice())
            self._choices.move_to_end(choice)
            if len(self._choices) > _MOST_KEPT:
                self._choices.popitem(last=False)
        return kept.page(render)


_pages = Pages()


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

    is_kept = current.version is not None
    page = _pages.get(current.version, (template, language.code, choice), render) if is_kept else _encoded(render())
    encodings = request.headers.get("Accept-Encoding", "").replace(" ", "")
    is_small = "gzip" in encodings and "gzip;q=0" not in encodings
    response = HttpResponse(page.small if is_small else page.plain, headers={"ETag": page.etag})
    if is_small:
        response["Content-Encoding"] = "gzip"
    response["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Encoding", *language.varies_on])
    return get_conditional_response(request, etag=page.etag, response=response) or response


def _encoded(page: str) -> Rendered:
    plain = page.encode()
    digest = hashlib.sha256(plain).hexdigest()[:32]
    # Weak, since compressed or not it is the same page.
    return Rendered(plain, gzip.compress(plain, compresslevel=6, mtime=0), f'W/"{digest}"')
