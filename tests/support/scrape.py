"""The metrics that a web process of the tests shows at /metrics."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import Server


def read(text: str) -> dict[tuple[str, str], float]:
    """The samples of a page, by their name and their one label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def metrics(server: Server) -> dict[str, float]:
    """All samples that are not 0: `name{label="value"}`."""
    with urllib.request.urlopen(f"{server.http_url}/metrics", timeout=10) as response:
        lines = [line.split() for line in response.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(number) for name, number in lines if float(number)}


def by_label(server: Server, name: str) -> dict[str, float]:
    """The samples of one name, by the value of their label."""
    return {key.split('"')[1]: number for key, number in metrics(server).items() if key.startswith(f"{name}{{")}


def rejections(server: Server) -> dict[str, float]:
    """The number of refused connections, by reason."""
    return by_label(server, "swarna_connections_refused_total")


def http_clients(server: Server, transport: str) -> float:
    """The clients that have the stream by HTTP, by one transport: `sse` or `poll`."""
    samples = metrics(server).items()
    return sum(number for name, number in samples if name.startswith("swarna_http_clients") and transport in name)
