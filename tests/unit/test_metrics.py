"""The stream's metrics, in one process and in memory; test_shared_metrics.py has several."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from streaming.engine.reasons import CloseReason, RejectReason
from streaming.metrics import Fault, Inbound, Metrics, Transport
from tests.support.product import ROOT


def counted(metrics: Metrics) -> dict[str, float]:
    """All that is not 0, as `name{label}`, without the buckets."""
    return {
        "".join([sample.name, *(f"{{{value}}}" for value in sample.labels.values())]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.value and "le" not in sample.labels
    }


def test_connections_are_those_that_were_accepted_and_have_not_closed() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.accepted()
    metrics.closed(CloseReason.STALLED)
    metrics.refused(RejectReason.PER_IP)
    assert counted(metrics) == {
        "swarna_connections{0}": 2,
        "swarna_connections_accepted_total": 3,
        "swarna_connections_closed_total{stalled}": 1,
        "swarna_connections_refused_total{per_ip}": 1,
    }


def test_clients_by_http_count_among_all_and_by_transport() -> None:
    metrics = Metrics()
    for transport in (Transport.WEBSOCKET, Transport.SSE, Transport.SSE, Transport.POLL):
        metrics.accepted(transport)
    metrics.closed(CloseReason.CLIENT, Transport.SSE)
    metrics.closed(CloseReason.ANSWERED, Transport.POLL)
    assert counted(metrics) == {
        "swarna_connections{0}": 2,
        "swarna_http_clients{0}{sse}": 1,
        "swarna_connections_accepted_total": 4,
        "swarna_connections_closed_total{client}": 1,
        "swarna_connections_closed_total{answered}": 1,
    }


def test_messages_from_clients_count_by_type() -> None:
    metrics = Metrics()
    metrics.received(Inbound.PING, bytes=15)
    metrics.received(Inbound.INVALID, bytes=5)
    assert counted(metrics) == {
        "swarna_messages_received_total{ping}": 1,
        "swarna_messages_received_total{invalid}": 1,
        "swarna_received_bytes_total": 20,
    }


def test_a_fan_out_counts_once_for_all_its_clients() -> None:
    metrics = Metrics()
    metrics.framed(plain=2, deflate=1)
    metrics.fanned_out(sent=9990, skipped=10, shared=9987, bytes=6_000_000, seconds=0.08, age_seconds=0.9)
    metrics.sent(bytes=40)
    assert counted(metrics) == {
        "swarna_frames_encoded_total{plain}": 2,
        "swarna_frames_encoded_total{deflate}": 1,
        "swarna_frames_shared_total": 9987,
        "swarna_messages_sent_total": 9991,
        "swarna_sent_bytes_total": 6_000_040,
        "swarna_updates_skipped_total": 10,
        "swarna_fan_out_duration_seconds_count": 1,
        "swarna_fan_out_duration_seconds_sum": 0.08,
        "swarna_update_age_seconds_count": 1,
        "swarna_update_age_seconds_sum": 0.9,
    }


@pytest.mark.parametrize(("age", "times"), [(-0.2, 1), (None, 0)])
def test_an_age_is_never_negative_and_only_of_a_publication(age: float | None, times: int) -> None:
    metrics = Metrics()
    metrics.fanned_out(sent=1, skipped=0, shared=0, bytes=1, seconds=0.001, age_seconds=age)
    assert metrics.registry.get_sample_value("swarna_update_age_seconds_count") == times
    assert metrics.registry.get_sample_value("swarna_update_age_seconds_sum") == 0


KINDS = {
    "swarna_connections_refused_total": RejectReason,
    "swarna_connections_closed_total": CloseReason,
    "swarna_messages_received_total": Inbound,
    "swarna_errors_total": Fault,
    "swarna_frames_encoded_total": ("plain", "deflate"),
}


def test_what_has_not_happened_yet_shows_as_zero_so_that_its_first_time_is_seen() -> None:
    shown = {
        (sample.name, *sample.labels.values()) for family in Metrics().registry.collect() for sample in family.samples
    }
    for name, kinds in KINDS.items():
        assert {kind for first, *rest in shown if first == name for kind in rest} == {str(kind) for kind in kinds}


def test_every_kind_is_named_to_operators() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for name, kinds in KINDS.items():
        (explanation,) = re.findall(rf"^\| `{name}` \| (.*) \|$", page, re.MULTILINE)
        assert {kind for kind in kinds if f"`{kind}`" not in explanation} == set(), name


def test_the_log_line_has_the_seeds_numbers() -> None:
    metrics = Metrics()
    metrics.accepted()
    metrics.accepted()
    metrics.closed(CloseReason.CLIENT)
    metrics.received(Inbound.SUBSCRIBE, bytes=30)
    metrics.sent(bytes=60)
    metrics.fanned_out(sent=3, skipped=0, shared=2, bytes=3, seconds=0.001, age_seconds=None)
    for fault in (Fault.SEND, Fault.REDIS, Fault.REDIS):
        metrics.failed(fault)
    assert metrics.log_line() == (
        "process 0: WebSocket metrics: activeConnections=1 totalConnections=2 "
        "messagesReceived=1 messagesSent=4 errors=3 (faults of the server, not of clients: redis 2, send 1)"
    )


def test_the_log_line_says_what_errors_are_before_there_is_one() -> None:
    assert Metrics().log_line().endswith(" errors=0 (faults of the server, not of clients)")


async def test_the_line_is_logged_regularly(caplog: pytest.LogCaptureFixture) -> None:
    task = asyncio.create_task(Metrics().log_regularly(every=0.001))
    async with asyncio.timeout(10):
        while len(caplog.messages) < 2:
            await asyncio.sleep(0.001)
    task.cancel()
    assert caplog.records[0].levelname == "INFO"
    assert caplog.messages[0].startswith("process 0: WebSocket metrics: activeConnections=0")


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Metrics().accepted()
    assert not list(tmp_path.iterdir())
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_two_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.accepted()
    assert counted(other) == {}
