"""The price sources' metrics at a web process's /metrics."""

import urllib.request

from prices.models import ProviderState
from tests.support.scrape import read
from tests.support.server import Server


def test_a_web_process_shows_them_beside_its_own(server: Server) -> None:
    server.do(lambda: ProviderState.objects.update_or_create(name="gold_api_com", defaults={"calls_total": 7}))
    with urllib.request.urlopen(f"{server.http_url}/metrics", timeout=5) as response:
        said = read(response.read().decode())
    assert said["swarna_source_calls_total", "gold_api_com"] == 7
    assert said["swarna_held_prices", "gold"] == 0
    assert ("swarna_connections", "0") in said
