"""Results as a Markdown table, kept from run to run so that single rows can be measured again."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import machine

BEGIN, END = "<!-- results of make bench -->", "<!-- end of results -->"
COLUMNS = ("Swarna", "Node `ws`", "uWebSockets", "C floor", "Channels on Daphne")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: `figures` by column; those that were not measured are empty, or left out at the end."""

    measure: str
    figures: Sequence[str]
    ratio: str = ""
    target: str = ""
    reached: str = ""


def figure(values: Sequence[float], unit: str) -> str:
    """The median, and the range of the values; empty if there are none."""
    if not values:
        return ""
    middle = statistics.median(values)
    spread = f" ({_short(min(values))}-{_short(max(values))})" if len(values) > 1 else ""
    return f"{_short(middle)}{spread} {unit}".strip()


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[str, float]:
    """The median of the rounds' ratios, as text with their spread and as a number."""
    ratios = [our / their if their else 0.0 for our, their in zip(ours, theirs, strict=True)]
    return figure(ratios, "×"), statistics.median(ratios)


def verdict(holds: bool) -> str:
    return "yes" if holds else "**no**"


def _short(number: float) -> str:
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def markdown(lines: Iterable[Line]) -> str:
    """The table."""
    names = ["measure", *COLUMNS, "ratio", "target", "reached"]
    blank = [""] * len(COLUMNS)
    head = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    rows = (
        [line.measure, *[*line.figures, *blank][: len(COLUMNS)], line.ratio, line.target, line.reached]
        for line in lines
    )
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def keep(store: Path, row: str, lines: Sequence[Line]) -> None:
    """Store a row's lines with machine and date."""
    kept = json.loads(store.read_text()) if store.exists() else {}
    kept[row] = {
        "machine": machine.description(),
        "date": machine.today(),
        "lines": [asdict(line) for line in lines],
    }
    store.write_text(json.dumps(kept, indent=1))


def results(store: Path, rows: Iterable[str]) -> str:
    """One table of all stored rows, in order, below their machines and dates."""
    kept = json.loads(store.read_text())
    known = [row for row in rows if row in kept]
    where: dict[tuple[str, str], list[str]] = {}
    for row in known:
        where.setdefault((kept[row]["machine"], kept[row]["date"]), []).append(row)
    origin = [f"{place}, {date}: {', '.join(of)}." for (place, date), of in where.items()]
    table = markdown(Line(**line) for row in known for line in kept[row]["lines"])
    return "\n\n".join([*origin, table])


def write(page: Path, text: str) -> None:
    """Put the results between the page's markers, or at its end if it has none."""
    old = page.read_text() if page.exists() else "# Performance\n"
    before, begin, rest = old.partition(BEGIN)
    after = rest.partition(END)[2] if begin else "\n"
    page.write_text(f"{before.rstrip()}\n\n{BEGIN}\n\n{text}\n\n{END}{after}")
