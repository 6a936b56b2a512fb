"""A shop's checkout: lock the price, show it to the customer, and redeem the lock once they have paid.

    TOKEN=swarna_… python docs/checkout.py order-4711 gold 916 8.25

for 8.25 grams. It needs the package `requests`. API is the address of the API, by default of a server on this machine.
"""

import os
import sys
import time
import uuid
from decimal import Decimal
from typing import Any

import requests

API = os.environ.get("API", "http://127.0.0.1:3001/api/v1")
HEADERS = {"Authorization": f"Bearer {os.environ['TOKEN']}"}


def send(address: str, key: str, body: dict[str, str] | None = None) -> requests.Response:
    """Send a request until there is an answer: with one key it is done once, however often it is sent."""
    problem = "it does not answer"
    for _ in range(5):
        try:
            answer = requests.post(address, json=body, headers=HEADERS | {"Idempotency-Key": key}, timeout=10)
        except requests.RequestException:
            time.sleep(1)  # perhaps it was done, and only the answer was lost
            continue
        said = decoded(answer) if "json" in answer.headers.get("Content-Type", "") else {}  # a proxy's is no answer
        is_busy = answer.status_code in (429, *range(500, 600)) or said.get("code") == "request-still-running"
        if said and not is_busy:
            return answer
        problem = said.get("detail", f"HTTP {answer.status_code}")
        time.sleep(min(int(answer.headers.get("Retry-After", 1)), 5))
    sys.exit(f"No answer from the price server: {problem}. Take no money at this price, and try again.")


def decoded(answer: requests.Response) -> dict[str, Any]:
    """The JSON of an answer, with exact amounts."""
    content: dict[str, Any] = answer.json(parse_float=Decimal)
    return content


def main() -> None:
    order, metal, purity, grams = sys.argv[1:]
    attempt = f"{order}-{uuid.uuid4()}"  # a refusal is kept for its key, too
    wanted = {"metal": metal, "unit": "gram", "purity": purity, "side": "sell", "quantity": grams, "reference": order}
    locked = send(f"{API}/locks/", f"{attempt}-lock", wanted)
    lock = decoded(locked)
    if locked.status_code != 201:
        sys.exit(f"No price: {lock['detail']}")
    total = lock["price"] * Decimal(grams)
    print(f"{grams} g of {metal} {purity} at {lock['price']} {lock['currency']} a gram: {total:.2f}")
    print(f"This price holds until {lock['expiresAt']}.")

    if input("Has the customer paid? (y/n) ") != "y":
        requests.delete(f"{API}/locks/{lock['id']}/", headers=HEADERS, timeout=10)
        sys.exit("The lock is released.")
    redeemed = send(f"{API}/locks/{lock['id']}/redeem/", f"{attempt}-redeem")
    sale = decoded(redeemed)
    if redeemed.status_code != 200:
        sys.exit(f"Give the money back: {sale['detail']}")
    print(f"Sold at {sale['redeemedPrice']} {sale['currency']} a gram: {sale['redeemedPrice'] * Decimal(grams):.2f}")


if __name__ == "__main__":
    main()
