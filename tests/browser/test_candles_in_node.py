"""The modules of a metal's page that need no browser, in Node: candles of history and stream, figures, time zones."""

import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest

from tests.support.js_package import required
from tests.support.product import ROOT
from tests.support.ranges import CASES

Run: TypeAlias = Callable[[str], Any]

ZONES = ("Asia/Kolkata", "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script in Node beside the modules, as `./pages/x.js`; returns what it hands to `say`."""
    node = required("node")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copytree(ROOT / "pages/static/pages", tmp_path / "pages", ignore=shutil.ignore_patterns("vendor"))
    shutil.copytree(ROOT / "tests/support/node", tmp_path / "node")

    def run(script: str) -> Any:
        file = tmp_path / "script.js"
        file.write_text(f"const say = (what) => console.log(JSON.stringify(what));\n{script}")
        ran = subprocess.run([node, file], capture_output=True, text=True, timeout=30)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


# --- candles of history and stream -----------------------------------------------------------------------------------


def test_history_and_stream_join_without_a_gap_or_a_double_in_whatever_order_they_come(run: Run):
    wrong = run(
        """
        import { deepEqual } from "node:assert/strict";
        import { run } from "./node/seam.js";
        const wrong = [];
        for (let seed = 0; seed < 400; seed += 1) {
          const [shown, true_] = await run(seed);
          try { deepEqual(shown, true_); } catch (error) { wrong.push([seed, error.message]); }
        }
        say(wrong);
        """
    )
    assert wrong == []


# A page's candles of gold, whose history was fetched so often; each answer is what `history` holds then.
GOLD = """
import { CandleHistory } from "./pages/candles.js";
const at = (minute) => `2026-11-02T10:${String(minute).padStart(2, "0")}:00.000Z`;
const candle = (minute, seq, closed = true) => ({
  start: at(minute), end: at(minute + 5), open: seq, high: seq, low: seq, close: seq, ticks: seq, closed, seq,
});
const update = (seq, snapshot, ...candles) => ({ epoch: "e", seq, snapshot, candles: { gold: { "5m": candles } } });
let [fetched, history, told] = [0, [], []];
const gold = new CandleHistory(
  "gold",
  async () => { fetched += 1; return history; },
  (interval, candles) => told.push(candles && candles.map(({ start }) => start.slice(14, 16))),
);
const seqs = async () => (await gold.load("5m", 288)).all.map(({ seq }) => seq);
const settled = () => new Promise((resolve) => setImmediate(resolve));
"""


def test_a_history_from_before_the_stream_is_fetched_again(run: Run):
    found = run(
        f"""{GOLD}
        history = [candle(0, 1, false)];
        const before = await seqs();
        history = [candle(0, 2), candle(5, 4), candle(10, 5, false)];
        gold.take(update(5, true, candle(10, 5, false)));
        await settled();
        say([before, await seqs(), fetched]);
        """
    )
    assert found == [[1], [2, 4, 5], 2]


def test_a_history_that_was_fetched_after_the_stream_began_is_fetched_once(run: Run):
    found = run(
        f"""{GOLD}
        gold.take(update(5, true, candle(10, 5, false)));
        history = [candle(5, 4), candle(10, 5, false)];
        await seqs();
        gold.take(update(6, false, candle(10, 6, false)));
        gold.take(update(7, false, candle(10, 6, true), candle(15, 7, false)));
        say([await seqs(), fetched, told]);
        """
    )
    assert found == [[4, 6, 7], 1, [None, ["10"], ["10", "15"]]]


def test_a_snapshot_that_brings_no_later_publication_costs_no_request(run: Run):
    """A price that turns stale has one, in every page at the same moment."""
    found = run(
        f"""{GOLD}
        gold.take(update(5, true, candle(10, 5, false)));
        history = [candle(10, 5, false)];
        await seqs();
        gold.take(update(5, true, candle(10, 5, false)));
        await settled();
        const stale = fetched;
        gold.take(update(9, true, candle(20, 9, false)));
        await settled();
        say([stale, fetched]);
        """
    )
    assert found == [1, 2]


def test_an_older_answer_never_replaces_a_newer_candle(run: Run):
    found = run(
        f"""{GOLD}
        gold.take(update(5, true));
        history = [candle(5, 4), candle(10, 5, false)];
        const loading = seqs();
        gold.take(update(8, false, candle(10, 8, false)));
        say(await loading);
        """
    )
    assert found == [4, 8]


def test_a_history_that_cannot_be_had_is_fetched_until_it_can_which_the_page_is_told(run: Run):
    found = run(
        f"""{GOLD}
        import {{ mock }} from "node:test";
        mock.timers.enable({{ apis: ["setTimeout"] }});
        const [said, wait] = [[], 10_000];
        let tries = 0;
        const again = new CandleHistory(
          "gold",
          async () => {{ if (++tries % 2) throw new Error("503"); return [candle(0, tries)]; }},
          () => said.push("changed"),
          () => said.push("failed"),
        );
        const loading = again.load("5m", 288);
        await settled();
        mock.timers.tick(wait);
        const first = (await loading).all.map(({{ seq }}) => seq);
        // The stream cannot go on from what it had before.
        again.take(update(9, true));
        await settled();
        mock.timers.tick(wait);
        await settled();
        say([first, again.shown("5m").all.map(({{ seq }}) => seq), tries, said]);
        """
    )
    assert found == [[2], [4], 4, ["failed", "changed", "failed", "changed"]]


def test_a_history_that_cannot_be_had_is_fetched_ever_more_rarely_and_only_the_one_that_is_wanted(run: Run):
    found = run(
        f"""{GOLD}
        import {{ mock }} from "node:test";
        mock.timers.enable({{ apis: ["setTimeout"] }});
        Math.random = () => 0.9;
        const tried = [];
        const fail = async (interval, most) => {{ tried.push(most); throw new Error("503"); }};
        const again = new CandleHistory("gold", fail, () => {{}}, () => {{}});
        again.load("5m", 10);
        // Not in step with other pages: the first at 7.75 s, the second 15.5 s after it.
        for (const wait of [7_700, 50, 7_700, 7_700, 100]) {{
          await settled();
          mock.timers.tick(wait);
        }}
        await settled();
        const [before] = [tried.length, again.load("5m", 288)];
        for (let tick = 0; tick < 20; tick += 1) {{
          await settled();
          mock.timers.tick(300_000);
        }}
        say([before, tried.slice(before).every((most) => most === 288)]);
        """
    )
    assert found == [3, True]


def test_a_range_is_cut_from_the_end_of_its_newest_candle(run: Run):
    found = run(
        f"""{GOLD}
        history = [candle(0, 1), candle(5, 2), candle(10, 3), candle(20, 4, false)];
        const series = await gold.load("5m", 288);
        const cut = (minutes) => series.newest(minutes && minutes * 60_000).map(({{ seq }}) => seq);
        say([cut(5), cut(10), cut(15), cut(null)]);
        """
    )
    assert found == [[4], [4], [3, 4], [1, 2, 3, 4]]


def test_no_more_candles_are_kept_than_were_requested(run: Run):
    """A page may be open for days."""
    found = run(
        f"""{GOLD}
        gold.take(update(1, true));
        history = [candle(0, 1), candle(5, 2), candle(10, 3, false)];
        const series = await gold.load("5m", 3);
        gold.take(update(4, false, candle(10, 3), candle(15, 4, false)));
        gold.take(update(5, false, candle(0, 5), candle(15, 5, false)));
        say(series.all.map(({{ seq }}) => seq));
        """
    )
    assert found == [2, 3, 5]


def test_a_history_whose_next_page_does_not_move_on_is_given_up_and_no_request_is_waited_for_for_ever(run: Run):
    requested = run(
        """
        import { fetchCandles } from "./pages/rest-candles.js";
        globalThis.document = { baseURI: "http://swarna/" };
        const requested = [];
        const next = "http://swarna/api/?from=2026-11-01T00:00:00.000Z";
        globalThis.fetch = async (url, { signal }) => {
          requested.push([url.searchParams.get("from"), signal instanceof AbortSignal]);
          return { ok: true, json: async () => ({ data: [], next }) };
        };
        await fetchCandles("/api/", "1d", null, 1000).catch((error) => requested.push(error.message.slice(0, 5)));
        say(requested);
        """
    )
    assert requested == [["1900-01-01", True], ["2026-11-01T00:00:00.000Z", True], "/api/"]


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_range_has_the_servers_figures(run: Run, case: dict[str, Any]):
    found = run(
        f"""
        import {{ rangeFigures }} from "./pages/range-figures.js";
        const candles = {json.dumps(case["candles"])}.map(([start, open, high, low, close]) => (
          {{ start, open: Number(open), high: Number(high), low: Number(low), close: Number(close) }}
        ));
        const figures = rangeFigures(candles);
        const written = (figure) => (/^[-0-9.]+$/.test(figure) ? String(Number(Number(figure).toFixed(4))) : figure);
        say(figures && Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, written(figure)])));
        """
    )
    if found:
        found["changePercent"] = f"{round(float(found['changePercent']), 2):g}"
    assert found == case["figures"]


# --- time zones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "zone", ["Asia/Kolkata", "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
)
def test_the_charts_clock_is_that_of_the_time_zone(run: Run, zone: str):
    """Every half hour of the days around a change of clocks, in both halves of the year."""
    begins = [dt.datetime(2026, *day, tzinfo=dt.UTC) for day in [(2, 14), (3, 7), (4, 3), (10, 3), (10, 31)]]
    moments = [begin + dt.timedelta(minutes=30 * half) for begin in begins for half in range(120)]
    shown = run(
        f"""
        import {{ clockIn }} from "./pages/zoned-time.js";
        const clock = clockIn({json.dumps(zone)});
        say({json.dumps([moment.timestamp() * 1000 for moment in moments])}.map((time) => clock(time)));
        """
    )
    local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=dt.UTC) for moment in moments]
    assert shown == [moment.timestamp() * 1000 for moment in local]
