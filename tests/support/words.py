"""The catalogs of translations, made from the texts that code and templates mark, and from what translators wrote.

`make words` writes them anew:

- `locale/<language>/LC_MESSAGES/django.po`, where people translate: a new text comes there with an empty translation,
  and one that is not said any more goes;
- the `django.mo` beside it, which Python reads;
- `clients/js/client/words/<language>.js`, with the texts that scripts say.

A test fails where any of them is not as it would be written.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.template import Node, Template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.translation import trim_whitespace

from tests.support.product import ROOT

LANGUAGES: Final = [code for code, _ in settings.LANGUAGES if code != "en"]
LOCALE: Final = ROOT / "locale"
SCRIPTS: Final = [ROOT / "clients/js/client", ROOT / "pages/static/pages"]
_TEMPLATES: Final = [ROOT / "templates/pages"]
_PYTHON: Final = [ROOT / "pages"]
_KEYWORDS: Final[dict[str, Any]] = {"_": None, "N_": None, "plural": (1, 2)}
# Of scripts: texts within templates are texts, too.
_OPTIONS: Final = {"parse_template_string": "yes"}


class _Dateless(Catalog):
    """A catalog whose head says what readers need, and not by which program and when it was written."""

    def _get_mime_headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "text/plain; charset=utf-8"), ("Plural-Forms", self.plural_forms)]

    mime_headers = property(_get_mime_headers)


def marked() -> Catalog:
    """All texts that code and templates mark, each with the files that say it."""
    catalog = Catalog()
    for method, pattern, folders in [("python", "**/*.py", _PYTHON), ("javascript", "*.js", SCRIPTS)]:
        for path in _files(folders, pattern):
            for _, message, _, _ in extract_from_file(method, path, keywords=_KEYWORDS, options=_OPTIONS):
                catalog.add(message, locations=[_place(path)])
    for path in _files(_TEMPLATES, "**/*.html"):
        for message in in_template(path.read_text()):
            catalog.add(message, locations=[_place(path)])
    return catalog


def po(language: str, texts: Catalog) -> Catalog:
    """The translations of a language, of these texts alone; those without one are empty."""
    path = LOCALE / language / "LC_MESSAGES/django.po"
    catalog = read_po(io.BytesIO(path.read_bytes() if path.exists() else b""), locale=language)
    catalog.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    return catalog


def files() -> dict[Path, bytes]:
    """Each file as `make words` writes it."""
    texts = marked()
    found: dict[Path, bytes] = {}
    for language in LANGUAGES:
        catalog = po(language, texts)
        folder = LOCALE / language / "LC_MESSAGES"
        # Without dates and people, so that a file changes only where a text does.
        head = (
            f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
            f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
        )
        body = io.BytesIO()
        write_po(
            body, catalog, width=120, omit_header=True, sort_output=True, ignore_obsolete=True, include_lineno=False
        )
        found[folder / "django.po"] = head.encode() + body.getvalue()
        written = _Dateless(language)
        for message in read_po(io.BytesIO(found[folder / "django.po"]), locale=language):
            if message.id:
                written[message.id] = message
        machine = io.BytesIO()
        write_mo(machine, written)
        found[folder / "django.mo"] = machine.getvalue()
        found[SCRIPTS[0] / f"words/{language}.js"] = _script(language, written).encode()
    return found


def _script(language: str, catalog: Catalog) -> str:
    """The catalog's texts that scripts say, as a module."""
    lines = [
        f"  {json.dumps(_key(message.id), ensure_ascii=False)}: {json.dumps(message.string, ensure_ascii=False)},\n"
        for message in catalog
        if message.id and all(strings(message)) and any(place.endswith(".js") for place, _ in message.locations)
    ]
    origin = f"locale/{language}/LC_MESSAGES/django.po"
    return f"/** Written by `make words` from {origin}. */\n\nexport default {{\n{''.join(lines)}}};\n"


def _key(id: Any) -> str:
    """A message's English; of a plural, that for one."""
    return id if isinstance(id, str) else id[0]


def in_template(source: str) -> Iterator[str | tuple[str, str]]:
    """The texts of `{% translate %}` and `{% blocktranslate %}` in a template."""
    for node in Template(source).nodelist.get_nodes_by_type(Node):
        if isinstance(node, BlockTranslateNode):
            one = _in_block(node, node.singular)
            yield (one, _in_block(node, node.plural)) if node.plural else one
        elif isinstance(node, TranslateNode) and isinstance(literal := node.filter_expression.var.literal, str):
            yield literal


def _in_block(block: BlockTranslateNode, tokens: Any) -> str:
    text: str = block.render_token_list(tokens)[0]
    return trim_whitespace(text) if block.trimmed else text


def _files(folders: list[Path], pattern: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(pattern))


def _place(path: Path) -> tuple[str, int]:
    return path.relative_to(ROOT).as_posix(), 0


def main() -> None:
    """Write all files, and say how many texts are still to be translated."""
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for language in LANGUAGES:
        missing = [message for message in po(language, marked()) if message.id and not all(strings(message))]
        print(f"{language}: {len(missing)} to translate in {LOCALE.name}/{language}/LC_MESSAGES/django.po")


def strings(message: Any) -> tuple[str, ...]:
    """A message's translation, in each form that it has; empty where there is none."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


if __name__ == "__main__":
    import django

    django.setup()
    main()
