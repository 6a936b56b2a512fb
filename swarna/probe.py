"""How a web process is asked how it is. No Django: it is asked often, and has to cost little.

By itself, for a container's health check, `python -m swarna.probe HOST PORT` is what `manage.py healthy web` is, at a
tenth of its cost; with `refreshes` after them, it tells what the web process there knows of worker and beat.
"""

import asyncio
import json
import sys

from swarna import addresses


async def answer(host: str, port: int, path: str, *, patience: float) -> tuple[int, bytes]:
    """The status and the body of its answer. Raises OSError, which says why there is none in `patience` seconds.

    `host` is what it is bound to. It is called directly: a proxy that the environment names is for other hosts.
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


def main(host: str, port: str, part: str = "web") -> str | None:
    """The complaint about that part of the product; None where it does its work."""
    path, patience = ("/healthz", 5.0) if part == "web" else ("/readyz", 10.0)
    try:
        status, body = asyncio.run(answer(host, int(port), path, patience=patience))
        told = json.loads(body)[part] if part != "web" else "ok" if status == 200 else f"answers {status}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"The web process at {addresses.authority(host, int(port))} does not answer: {error}"
    return None if told == "ok" else f"{part}: {told}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
