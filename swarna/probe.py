"""How a web process is asked how it is, from its own machine. No Django: it is asked often, and has to cost little."""

import asyncio

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
