"""Documents for developers: those of `docs/` and of the client packages, as pages of the site that they describe."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from itertools import pairwise
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from pages import rendering
from pages.languages import ENGLISH, Language

_pages = rendering.Pages()


class _Source(NamedTuple):
    """A document's file, and what the list of documents calls it."""

    file: str
    title: str


# By their names in addresses; the first page has none.
_SOURCES: Final[Mapping[str, _Source]] = {
    "": _Source("docs/developers.md", "Start"),
    "elements": _Source("docs/widgets.md", "Elements and frames"),
    "javascript": _Source("clients/js/README.md", "JavaScript"),
    "python": _Source("clients/python/README.md", "Python"),
    "rest": _Source("docs/api.md", "REST"),
    "stream": _Source("docs/protocol.md", "The stream"),
    "verifying": _Source("docs/verifying.md", "Signed documents"),
}
# Programs that they name.
_PROGRAMS: Final[Mapping[str, str]] = {"checkout": "docs/checkout.py", "recompute": "docs/examples/recompute.py"}
# The servers that their examples call.
_EXAMPLE: Final = re.compile(r"\b(?:(http|ws)://127\.0\.0\.1:3001|(http|ws)s://prices\.example)(/?)")


class Section(NamedTuple):
    """A part of a document: the `id` of its heading, and that."""

    id: str
    title: str


class Document(NamedTuple):
    """A document as HTML, without its title, and its larger sections."""

    title: str
    html: str
    sections: tuple[Section, ...]


def document(request: HttpRequest, name: str = "") -> HttpResponseBase:
    """A document, whose examples call the server that it is read from."""
    if name not in _SOURCES:
        raise Http404
    root = request.build_absolute_uri(get_script_prefix())

    def render() -> str:
        read = _read(name)
        context = {"document": read, "html": _calling(root, read.html), "documents": navigation(name)}
        return render_to_string("pages/document.html", {"language": Language(ENGLISH), **context})

    return rendering.answer(request, _pages.get(None, (name, root), render, lambda: rendering.turn(request)))


def program(request: HttpRequest, name: str) -> HttpResponse:
    """A program that the documents name, as text."""
    if name not in _PROGRAMS:
        raise Http404
    return HttpResponse(_file(_PROGRAMS[name]), content_type="text/plain; charset=utf-8")


def navigation(shown: str | None) -> list[tuple[str, str, bool]]:
    """Address and title of each document, and True for the shown one."""
    return [(_address(name), source.title, name == shown) for name, source in _SOURCES.items()]


def _address(name: str) -> str:
    return reverse("developers", args=[name] if name else [])


def _file(path: str) -> str:
    return str((settings.BASE_DIR / path).read_text())


def _calling(root: str, html: str) -> SafeString:
    """The HTML with examples that call the server whose addresses begin with `root`."""
    scheme, _, site = escape(root).partition(":")
    secure = "s" if scheme == "https" else ""

    def address(example: re.Match[str]) -> str:
        return f"{example[1] or example[2]}{secure}:{site if example[3] else site.removesuffix('/')}"

    return mark_safe(_EXAMPLE.sub(address, html))  # noqa: S308  # made of our own files


# --- Markdown --------------------------------------------------------------------------------------------------------


@cache
def _read(name: str) -> Document:
    """A document, rendered once."""
    source = _SOURCES[name]
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _code)
    markdown.add_render_rule("table_open", _wide_table)
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = markdown.parse(_file(source.file))
    headings = list(_named(tokens))
    for token in tokens:
        _lead_links(token.children or (), source.file)
    # The page has the title above all else.
    (title,) = (section.title for level, section in headings if level == "h1")
    html = markdown.renderer.render(tokens[3:], markdown.options, {})
    return Document(title, html, tuple(section for level, section in headings if level == "h2"))


def _named(tokens: Sequence[Token]) -> Iterator[tuple[str, Section]]:
    """Give each heading its `id`, as GitHub does, and yield it with its level."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            title = "".join(part.content for part in inline.children or ())
            id = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            opening.attrSet("id", id)
            yield opening.tag, Section(id, title)


def _lead_links(tokens: Sequence[Token], file: str) -> None:
    """Lead links between files to their pages of the site; one to a file that has none becomes plain text."""
    led = True
    for token in tokens:
        if token.type == "link_open":
            address = _site_address(str(token.attrGet("href")), file)
            led = address is not None
            token.attrSet("href", address or "")
        if token.type in ("link_open", "link_close"):
            token.hidden = not led


def _site_address(link: str, file: str) -> str | None:
    """Where a link of a file leads on the site; None for a file that it does not have."""
    path, mark, fragment = link.partition("#")
    if not path or "://" in path:
        return link
    if path.startswith("/"):
        return get_script_prefix() + link[1:]
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
    documents = {source.file: _address(name) for name, source in _SOURCES.items()}
    programs = {path: reverse("developers-program", args=[name]) for name, path in _PROGRAMS.items()}
    address = (documents | programs).get(linked)
    return address and address + mark + fragment


def _code(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A block of code. It can be scrolled by keys, where it is wider than the page."""
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _wide_table(*_: Any) -> str:
    """The beginning of a table, likewise."""
    return '<div class="table" tabindex="0"><table>\n'
