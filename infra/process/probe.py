"""Ask a web process how it is. Imports no Django: health checks run often, and have to cost little.

`python -m infra.process.probe HOST PORT` is a container's health check: what `manage.py healthy web` does, at a tenth
of its cost. With `refreshes` as a third argument it asks that web process whether worker and beat begin refreshes.
"""

import asyncio
import json
import sys
from typing import Final

from infra import addresses

_PATIENCE: Final = 5.0  # seconds
_PATIENCE_OF_READYZ: Final = 10.0  # which itself waits for the database and Redis


async def answer(host: str, port: int, path: str, *, patience: float) -> tuple[int, bytes]:
    """The status and the body of an answer. Raises OSError, which says why there is none in `patience` seconds.

    `host` is the address that the process is bound to. It is called directly: a proxy that the environment names is for
    other hosts.
    """
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(addresses.on_this_machine(host), port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {addresses.authority(host, port)}\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except TimeoutError as error:
        raise TimeoutError(f"no answer in {patience:g} s") from error
    status = head.split()[1:2]
    if not status or not status[0].isdigit():
        raise ConnectionError("what it says is no HTTP")
    return int(status[0]), body


async def trouble_with_web(host: str, port: int, *, patience: float) -> str | None:
    """The trouble with a web process itself; None where there is none. Raises OSError where it does not answer."""
    status, _ = await answer(host, port, "/healthz", patience=patience)
    return None if status == 200 else f"answers {status}"


async def trouble_with_refreshes(host: str, port: int) -> str | None:
    """The trouble that a web process sees with refreshes; None where it sees none. Raises OSError if it is silent."""
    _, body = await answer(host, port, "/readyz", patience=_PATIENCE_OF_READYZ)
    try:
        told = json.loads(body)["refreshes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConnectionError("what it says of refreshes is not JSON of /readyz") from error
    return None if told == "ok" else str(told)


def complaint(host: str, port: int, part: str = "web") -> str | None:
    """A line about a part of the product that does not do its work, `web` or `refreshes`; None where it does."""
    where = f"The web process at http://{addresses.authority(host, port)}/"
    try:
        if part == "refreshes":
            trouble = asyncio.run(trouble_with_refreshes(host, port))
            return trouble and f"refreshes: {trouble}"
        trouble = asyncio.run(trouble_with_web(host, port, patience=_PATIENCE))
        return trouble and f"{where} {trouble}"
    except OSError as error:
        return f"{where} does not answer: {error}"


def main(host: str, port: str, part: str = "web") -> str | None:
    """Run as a program: no complaint is exit code 0."""
    return complaint(host, int(port), part)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
