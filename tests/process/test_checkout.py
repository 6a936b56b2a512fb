"""The example of a shop's checkout in docs/, against a real server."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from accounts import tokens
from locks.models import PriceLock
from tests.support.product import ROOT
from tests.support.scrape import metrics
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Server]) -> Server:
    """A web process with a price of gold."""
    server = run_server()
    server.publish(gold="13200")
    return server


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """The shop's token."""
    return str(server.do(lambda: tokens.issue(User.objects.create_user("shop"))[1]))


def checkout(server: Server, token: str, *order: str, says: str) -> subprocess.CompletedProcess[str]:
    """The example's output, for a shop that answers its question so."""
    return subprocess.run(
        [sys.executable, "docs/checkout.py", *order],
        cwd=ROOT,
        env=os.environ | {"API": f"{server.http_url}/api/v1", "TOKEN": token},
        input=says,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_shop_sells_at_the_price_that_it_showed(server: Server, token: str) -> None:
    sold = checkout(server, token, "order-1", "gold", "916", "8.25", says="y\n")
    assert sold.stderr == ""
    assert "8.25 g of gold 916 at 12091.2 INR a gram: 99752.40\n" in sold.stdout
    assert sold.stdout.endswith("Sold at 12091.2 INR a gram: 99752.40\n")
    assert server.do(lambda: PriceLock.objects.get(reference="order-1").status) == "redeemed"


def test_sales_are_counted(server: Server, token: str) -> None:
    before = metrics(server)
    checkout(server, token, "order-4", "gold", "999", "1", says="y\n")
    counted = {name: number - before.get(name, 0) for name, number in metrics(server).items()}
    assert counted["swarna_locks_granted_total"] == counted["swarna_locks_redeemed_total"] == 1
    assert 'swarna_locks{status="held"}' not in metrics(server)


def test_a_customer_who_does_not_pay_leaves_no_lock_behind(server: Server, token: str) -> None:
    left = checkout(server, token, "order-2", "gold", "916", "2", says="n\n")
    assert left.stderr == "The lock is released.\n"
    assert server.do(lambda: PriceLock.objects.get(reference="order-2").status) == "released"


def test_a_shop_is_told_why_it_gets_no_price(server: Server, token: str) -> None:
    refused = checkout(server, token, "order-3", "platinum", "950", "2", says="y\n")
    assert refused.stderr.startswith("No price: The price of Platinum is a fallback, which is not locked.")
