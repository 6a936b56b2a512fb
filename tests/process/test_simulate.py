"""`manage.py simulate` as an operator runs it, beside a web process."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from websockets.sync.client import connect

from prices.domain.quotes import SIMULATED, Metal
from tests.support.product import ROOT
from tests.support.server import Server


def simulate(server: Server, *arguments: str) -> "subprocess.Popen[str]":
    """The command as an operator runs it, on the server's database and Valkey."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "simulate", *arguments],
        cwd=ROOT,
        env=os.environ | server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def simulated_server(run_server: Callable[..., Server]) -> Server:
    return run_server(PRICE_PROVIDERS=SIMULATED)


def test_it_says_at_the_end_how_many_went_out(simulated_server: Server) -> None:
    output, _ = simulate(simulated_server, "--interval-ms", "100", "--count", "3").communicate(timeout=30)
    assert re.fullmatch(
        r"3 publications in \d\.\d s, one each 100 ms(, \d+ left out: this machine could not keep up)?\n", output
    )


def test_it_says_when_it_could_not_keep_up(simulated_server: Server) -> None:
    output, _ = simulate(simulated_server, "--interval-ms", "1", "--count", "20").communicate(timeout=30)
    assert re.fullmatch(
        r"20 publications in \d\.\d s, one each 1 ms, \d+ left out: this machine could not keep up\n", output
    )


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_stopped_and_then_ends_cleanly(simulated_server: Server, sent: signal.Signals) -> None:
    process = simulate(simulated_server, "--interval-ms", "50", "--stamps")
    assert process.stdout is not None
    stamps = [process.stdout.readline() for _ in range(3)]
    process.send_signal(sent)
    rest, _ = process.communicate(timeout=10)
    seqs = [int(line.split()[0]) for line in stamps]
    assert seqs == [seqs[0], seqs[0] + 1, seqs[0] + 2]
    assert process.returncode == 0
    assert re.search(r"^\d+ publications in \d+\.\d s, one each 50 ms", rest.splitlines()[-1])


def test_its_publications_reach_clients_of_the_stream(simulated_server: Server) -> None:
    with connect(simulated_server.ws_url) as stream:
        process = simulate(simulated_server, "--interval-ms", "100", "--count", "1", "--stamps")
        while not (message := json.loads(stream.recv(timeout=20))).get("data") or message["snapshot"]:
            pass
        output, _ = process.communicate(timeout=20)
    assert str(message["seq"]) == output.split()[0]
    assert {shown["source"] for shown in message["data"].values()} == {SIMULATED}
    assert list(message["data"]) == [metal.value for metal in Metal]
