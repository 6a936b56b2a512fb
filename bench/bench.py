"""The equipment that rows are measured with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.meter import Meter
from bench.servers import Server, Surroundings, Swarna


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers and the meter. `quick` is a rehearsal: it shows that all works, and its figures mean little."""

    around: Surroundings
    meter: Path
    reads_compressed: bool
    quick: bool

    def of(self, full: int, quick: int) -> int:
        """A size: `full`, or `quick` in a rehearsal."""
        return quick if self.quick else full

    @property
    def rounds(self) -> range:
        return range(self.of(3, 1))

    def swarna(self, **settings: str) -> Swarna:
        return Swarna(self.around, settings)

    def clients_of(self, server: Server, **options: Any) -> Meter:
        """A meter on this server; `options` are Meter's."""
        return Meter(self.meter, server.port, **options)

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)
