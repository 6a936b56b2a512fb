"""Metrics of several processes in one folder: real processes, which are killed too."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streaming.metrics import Metrics
from tests.support.product import ROOT


class Counting:
    """A process that counts in a folder (tests/support/counting.py); `before` is the beginning of its command."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.popen = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.support.counting", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begun(self) -> "Counting":
        self._answer()
        return self

    def does(self, *commands: str) -> str:
        """Have it do what tests/support/counting.py knows, and return what it said to the last of it."""
        assert self.popen.stdin is not None
        answer = ""
        for command in commands:
            print(command, file=self.popen.stdin, flush=True)
            answer = self._answer()
        return answer

    def scrape(self) -> dict[str, float]:
        """Its metrics of all processes: `name{label="value"}`, without those that are 0."""
        return {
            sample.name + "".join(f'{{{name}="{value}"}}' for name, value in sample.labels.items()): sample.value
            for family in text_string_to_metric_families(self.does("scrape"))
            for sample in family.samples
            if sample.value or family.type == "gauge"
        }

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()

    def _answer(self) -> str:
        assert self.popen.stdout is not None
        lines: list[str] = []
        while (line := self.popen.stdout.readline()) != ".\n":
            assert line, f"it ended after {lines}"
            lines.append(line)
        return "".join(lines)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], Counting]]:
    """Start processes that count in one folder; they are killed at the end."""
    begun: list[Counting] = []

    def begin() -> Counting:
        begun.append(Counting(tmp_path / "metrics"))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()


def test_any_process_tells_of_all(begin: Callable[[], Counting]) -> None:
    one, other = begin().begun(), begin().begun()
    one.does("accepted", "accepted", "accepted", "closed", "fanned_out")
    other.does("accepted", "fanned_out")
    seen = one.scrape()
    assert seen == other.scrape()
    assert seen['swarna_connections{process="0"}'] == 2
    assert seen['swarna_connections{process="1"}'] == 1
    assert seen["swarna_connections_accepted_total"] == 4
    assert seen['swarna_connections_closed_total{reason="client"}'] == 1
    assert seen["swarna_messages_sent_total"] == 20
    assert seen["swarna_fan_out_duration_seconds_count"] == 2
    assert seen["swarna_update_age_seconds_sum"] == pytest.approx(0.04)


def test_of_a_process_that_was_killed_the_counters_stay_and_the_gauge_goes(begin: Callable[[], Counting]) -> None:
    one, other = begin().begun(), begin().begun()
    one.does("accepted")
    other.does("accepted", "accepted", "fanned_out")
    other.kill()
    seen = one.scrape()
    assert seen['swarna_connections{process="0"}'] == 1
    assert 'swarna_connections{process="1"}' not in seen
    assert seen["swarna_connections_accepted_total"] == 3
    assert seen["swarna_fan_out_duration_seconds_count"] == 1


def test_the_next_process_takes_its_number_and_goes_on_with_its_counters(
    begin: Callable[[], Counting], tmp_path: Path
) -> None:
    one, other = begin().begun(), begin().begun()
    one.does("accepted")
    other.does("accepted", "accepted", "fanned_out")
    files = sorted((tmp_path / "metrics").iterdir())
    for _ in range(3):
        other.kill()
        other = begin().begun()
        other.does("accepted")
        assert "activeConnections=1 totalConnections=1 messagesReceived=0 messagesSent=0" in other.does("log")
    seen = one.scrape()
    assert seen['swarna_connections{process="0"}'] == 1
    assert seen['swarna_connections{process="1"}'] == 1
    assert seen["swarna_connections_accepted_total"] == 6
    assert sorted((tmp_path / "metrics").iterdir()) == files


def test_a_run_begins_with_nothing_of_the_last(begin: Callable[[], Counting], tmp_path: Path) -> None:
    last = [begin().begun(), begin().begun()]
    for process in last:
        process.does("accepted", "fanned_out")
    for process in last:
        process.kill()
    scrape = begin().begun().scrape()
    assert scrape['swarna_connections{process="0"}'] == 0
    assert set(scrape.values()) == {0}
    assert not [file for file in (tmp_path / "metrics").glob("*.db") if file.stem.endswith("1")]


def test_processes_that_begin_at_once_have_each_a_number_of_its_own(begin: Callable[[], Counting]) -> None:
    together = [begin() for _ in range(4)]
    for process in together:
        process.begun().does("accepted")
    seen = together[0].scrape()
    assert [seen[f'swarna_connections{{process="{number}"}}'] for number in range(4)] == [1, 1, 1, 1]
    assert seen["swarna_connections_accepted_total"] == 4


def test_a_forked_process_is_told_to_take_a_store_of_its_own(begin: Callable[[], Counting]) -> None:
    process = begin().begun()
    assert "give it a MetricStore of its own" in process.does("fork")
    assert "swarna_connections_accepted_total" not in process.scrape()


def test_what_a_process_starts_inherits_nothing_of_it(begin: Callable[[], Counting]) -> None:
    assert begin().begun().does("environment") == "None\n"


def test_a_folder_that_cannot_be_used_is_named_and_the_process_counts_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    metrics = Metrics(tmp_path / "file")
    metrics.accepted()
    assert metrics.registry.get_sample_value("swarna_connections", {"process": "0"}) == 1
    assert f"metrics cannot be kept in {tmp_path}/file" in caplog.text
    assert "set METRICS_DIR" in caplog.text


def test_where_its_files_have_no_room_a_process_counts_alone(tmp_path: Path) -> None:
    no_larger_files = ("/bin/sh", "-c", 'ulimit -f 64 && exec "$0" "$@"')  # of 512 bytes: half of one
    process = Counting(tmp_path, *no_larger_files)
    try:
        process.begun().does("accepted")
        assert process.scrape()["swarna_connections_accepted_total"] == 1
    finally:
        process.kill()
    assert not list(tmp_path.glob("*.db"))
