"""`python -m bench.saves PORT COUNT INTERVAL_MS`: fallback prices saved on the page of all of them, as staff do it.

Prints, for each Save, the seq of its publication and when it was sent (CLOCK_MONOTONIC, ns); then `done`.
"""

import http.client
import os
import sys
import time
import urllib.parse

_PAGE = "/admin/prices/fallbackprice/all/"
_CSRF = "b" * 32  # of any characters, as long as cookie and form have the same
_PRICES = ("9300", "9310")


def sign_in() -> str:
    """The cookies of a member of staff who has signed in."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    browser.force_login(User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)[0])
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={_CSRF}"


def main() -> None:
    port, count, interval = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000
    os.environ["DJANGO_SETTINGS_MODULE"] = "swarna.settings"
    import django

    django.setup()
    from prices.domain.quotes import Metal
    from prices.models import Head

    headers = {"Cookie": sign_in(), "Content-Type": "application/x-www-form-urlencoded"}
    due = time.monotonic()
    for number in range(count):
        units = {f"{metal.value}-unit": "gram" for metal in Metal}
        typed = {**units, "gold-price": _PRICES[number % 2], "reason": f"save {number}"}
        body = urllib.parse.urlencode({**typed, "csrfmiddlewaretoken": _CSRF, "_save": "1"}).encode()
        server = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        sent = time.monotonic_ns()
        server.request("POST", _PAGE, body, headers)
        if (status := server.getresponse().status) != 302:
            raise RuntimeError(f"save {number} was not saved: the page answers {status}")
        server.close()
        print(Head.current().seq, sent)
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))
    print("done", flush=True)


if __name__ == "__main__":
    main()
