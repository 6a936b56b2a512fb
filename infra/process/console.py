"""One terminal for several processes: each line follows the name of its process."""

import contextlib
import os
import select

LONGEST_LINE = 4000  # bytes: with its prefix, what a pipe that is ready for writing surely takes (4096)
TIMEOUT = 0.5  # seconds that a line waits for a reader that has stopped reading

_STDOUT = 1
_COLOURS = (36, 32, 35, 33, 34, 31)


class Console:
    """Writes lines to standard output, whole and at once, and waits for a slow reader only briefly."""

    def __init__(self) -> None:
        self._coloured = os.isatty(_STDOUT) and "NO_COLOR" not in os.environ
        self._names: list[str] = []
        self._timeout = TIMEOUT

    def line(self, name: str, text: bytes) -> None:
        """Print `text` behind `name`, as several lines where it is longer than LONGEST_LINE.

        It is lost where nobody reads, so that the processes go on.
        """
        with contextlib.suppress(OSError):  # such as a terminal that was closed
            for start in range(0, len(text) or 1, LONGEST_LINE):
                self._write(self._prefix(name) + text[start : start + LONGEST_LINE] + b"\n")

    def _write(self, line: bytes) -> None:
        _, ready, _ = select.select([], [_STDOUT], [], self._timeout)
        # A stopped terminal costs the timeout once, not with each line.
        self._timeout = TIMEOUT if ready else 0.0
        if ready:
            os.write(_STDOUT, line)

    def _prefix(self, name: str) -> bytes:
        if name not in self._names:
            self._names.append(name)
        prefix = f"{name:<6} | "
        if self._coloured:
            colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        return prefix.encode()
