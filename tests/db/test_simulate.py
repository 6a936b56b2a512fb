"""`manage.py simulate`: a market at any pace, through ingest like every other."""

import itertools
import threading
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from prices.domain.quotes import SIMULATED, Metal, Publication
from prices.models import Price
from prices.publishing import simulation
from streaming import publish

committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Publication, int]]:
    """The publications, and when each goes out."""
    publications: list[tuple[Publication, int]] = []
    monkeypatch.setattr(
        publish, "publication", lambda publication: publications.append((publication, time.monotonic_ns()))
    )
    return publications


@pytest.fixture
def market(transactional_db: None, settings: Settings, published: list[tuple[Publication, int]]) -> None:
    """A fresh start that shows simulated prices, with nothing published yet."""
    settings.PRICE_PROVIDERS = [SIMULATED]
    call_command("seed")
    published.clear()


def run(interval: float, count: int | None, **more: Any) -> simulation.Pace:
    return simulation.run(interval, count, stop=threading.Event(), **more)


@pytest.mark.usefixtures("market")
def test_each_publication_moves_all_four_metals(published: list[tuple[Publication, int]]) -> None:
    assert run(0.001, 5).publications == 5
    publications = [publication for publication, _ in published]
    assert [{quoted.quote.metal for quoted in publication.quotes} for publication in publications] == [set(Metal)] * 5
    assert {quoted.quote.source for publication in publications for quoted in publication.quotes} == {SIMULATED}
    assert len({quoted.quote.price for publication in publications for quoted in publication.quotes}) == 20
    assert all(after.seq == before.seq + 1 for before, after in itertools.pairwise(publications))


@pytest.mark.usefixtures("market")
def test_a_stamp_is_taken_between_the_commit_and_the_publication(published: list[tuple[Publication, int]]) -> None:
    stamps: dict[int, int] = {}
    written_at: list[int] = []

    def note_prices(execute: Any, statement: str, *rest: object) -> object:
        done = execute(statement, *rest)
        if statement.startswith("INSERT INTO prices_price "):
            written_at.append(time.monotonic_ns())
        return done

    with connection.execute_wrapper(note_prices):
        run(0.001, 3, stamped=stamps.__setitem__)
    assert list(stamps) == [publication.seq for publication, _ in published]
    for written, (seq, stamp), (_, called) in zip(written_at, stamps.items(), published, strict=True):
        assert written < stamp <= called, seq


@pytest.mark.usefixtures("market")
def test_the_pace_is_kept_whatever_a_publication_costs(
    published: list[tuple[Publication, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish_slowly(publication: Publication) -> None:
        published.append((publication, time.monotonic_ns()))
        time.sleep(0.05)

    monkeypatch.setattr(publish, "publication", publish_slowly)
    pace = run(0.2, 6)
    began, ended = published[0][1], published[-1][1]
    assert (ended - began) / 1e9 == pytest.approx(1.0, abs=0.15)
    assert (pace.publications, pace.missed) == (6, 0)


@pytest.mark.usefixtures("market")
def test_a_market_that_was_delayed_goes_on_at_its_pace(
    published: list[tuple[Publication, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold_up_once(publication: Publication) -> None:
        published.append((publication, time.monotonic_ns()))
        if len(published) == 2:
            time.sleep(0.7)

    monkeypatch.setattr(publish, "publication", hold_up_once)
    pace = run(0.2, 6)
    assert pace.missed >= 2  # of a pause of three and a half; more on a busy machine
    since_first = [(at - published[0][1]) / 1e9 for _, at in published]
    # No publication comes ahead of its place on the grid: what was missed is not made up for in a burst.
    assert since_first[-1] > 0.2 * (5 + pace.missed) - 0.1


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (
            ["--interval-ms", "0"],
            "--interval-ms is the time between publications: from 1 to 86400000 milliseconds, a day.",
        ),
        (
            ["--interval-ms", "-5"],
            "--interval-ms is the time between publications: from 1 to 86400000 milliseconds, a day.",
        ),
        (
            ["--interval-ms", "9" * 20],
            "--interval-ms is the time between publications: from 1 to 86400000 milliseconds, a day.",
        ),
        (["--interval-ms", "fast"], "Error: argument --interval-ms: invalid int value: 'fast'"),
        (["--count", "-1"], "--count is a number of publications: 1 or more, or 0 to go on until Ctrl-C."),
    ],
)
def test_a_bad_number_is_refused_in_one_line(arguments: list[str], refusal: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("simulate", *arguments)
    assert str(refused.value) == refusal
    assert not Price.objects.filter(source=SIMULATED).exists()


@pytest.mark.usefixtures("market")
def test_it_refuses_where_simulated_prices_are_not_shown(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["gold_api_com"]
    with pytest.raises(
        CommandError, match=r"^Simulated prices are not shown here: add simulated to PRICE_PROVIDERS\.$"
    ):
        call_command("simulate", "--count", "1")


@committed
def test_it_refuses_where_no_metal_is_listed(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [SIMULATED]
    with pytest.raises(CommandError, match=r"^The database lists no metal: run manage\.py seed"):
        call_command("simulate", "--count", "1")
