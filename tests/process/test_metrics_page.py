"""/metrics of web processes."""

import contextlib
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import Server


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_they_are_only_to_be_read(server: Server, method: str) -> None:
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request(method, "/metrics")
        response = connection.getresponse()
        assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")
        response.read()
        connection.request("HEAD", "/metrics")
        assert connection.getresponse().status == 200


def get(server: Server, **headers: str) -> tuple[int, str, str]:
    """Status, content type and text of a server's /metrics."""
    request = urllib.request.Request(f"{server.http_url}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def processes(server: Server) -> set[str]:
    """The processes whose connections a server's /metrics shows."""
    _, _, text = get(server)
    return {
        sample.labels["process"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "swarna_connections"
    }


def test_any_web_process_shows_all_that_run(run_server: Callable[..., Server], tmp_path: Path) -> None:
    one, other = (run_server(METRICS_DIR=str(tmp_path)) for _ in range(2))
    status, content_type, _ = get(one, Host="10.0.0.7:3001")  # as Prometheus asks, by an address
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert processes(one) == processes(other) == {"0", "1"}
    one.kill()
    assert processes(other) == {"1"}


def test_a_web_process_keeps_to_its_setting(run_server: Callable[..., Server], tmp_path: Path) -> None:
    server = run_server(METRICS_DIR=str(tmp_path), METRICS_ALLOWED_FROM="192.0.2.7")
    assert get(server) == (403, "text/plain; charset=utf-8", "METRICS_ALLOWED_FROM does not list 127.0.0.1.\n")
