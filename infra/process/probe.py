"""Health checks of a web process, by HTTP. Imports no Django: they run often, and have to cost little.

`python -m infra.process.probe HOST PORT` is a container's health check: it does what `manage.py healthy web` does, at a
tenth of its cost. With `refreshes` as a third argument it checks that worker and beat begin refreshes, as that web
process sees them.
"""

import asyncio
import json
import sys
from typing import Final

from infra import addresses

_TIMEOUT: Final = 5.0  # seconds
_READYZ_TIMEOUT: Final = 10.0  # seconds: /readyz itself waits for the database and Redis


async def answer(host: str, port: int, path: str, *, timeout: float) -> tuple[int, bytes]:
    """GET `path`; return the status and the body. Raises OSError where there is no answer within `timeout` seconds.

    `host` is the address that the process is bound to. It is called directly: a proxy that the environment names is for
    other hosts.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(addresses.on_this_machine(host), port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {addresses.authority(host, port)}\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except TimeoutError as error:
        raise TimeoutError(f"no answer in {timeout:g} s") from error
    status = head.split()[1:2]
    if not status or not status[0].isdigit():
        raise ConnectionError("what it says is no HTTP")
    return int(status[0]), body


async def web_problem(host: str, port: int, *, timeout: float) -> str | None:
    """The problem of a web process by its /healthz, or None. Raises OSError where it does not answer."""
    status, _ = await answer(host, port, "/healthz", timeout=timeout)
    return None if status == 200 else f"answers {status}"


async def refresh_problem(host: str, port: int) -> str | None:
    """The problem with refreshes that a web process sees, or None. Raises OSError where it does not answer."""
    _, body = await answer(host, port, "/readyz", timeout=_READYZ_TIMEOUT)
    try:
        refreshes = json.loads(body)["refreshes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConnectionError("what it says of refreshes is not JSON of /readyz") from error
    return None if refreshes == "ok" else str(refreshes)


def problem(host: str, port: int, part: str = "web") -> str | None:
    """A line about the problem of `part`, which is `web` or `refreshes`; None where it works."""
    where = f"The web process at http://{addresses.authority(host, port)}/"
    try:
        if part == "refreshes":
            found = asyncio.run(refresh_problem(host, port))
            return found and f"refreshes: {found}"
        found = asyncio.run(web_problem(host, port, timeout=_TIMEOUT))
        return found and f"{where} {found}"
    except OSError as error:
        return f"{where} does not answer: {error}"


def main(host: str, port: str, part: str = "web") -> str | None:
    """Return an argument for `sys.exit`: None, which is exit code 0, or the line to print with exit code 1."""
    return problem(host, int(port), part)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
