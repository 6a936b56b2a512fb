"""`python -m bench`, which `make bench` and `make soak` run."""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import machine, report, servers
from bench import meter as meters
from bench.bench import Bench
from bench.rows import ROWS
from bench.soak import soak

KEPT = servers.ROOT / "var" / "bench"
# As in manage.py: parts of the product that run in this process read the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", default="", help=f"which, with commas between; of {', '.join(ROWS)}")
    parser.add_argument(
        "--out", default="", help="page whose results are replaced by these; else they are printed alone"
    )
    parser.add_argument("--quick", action="store_true", help="a rehearsal of a minute, whose figures mean little")
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="clients that come and go, in place of rows; a minute at least"
    )
    return parser.parse_args()


@contextlib.contextmanager
def ready(quick: bool, connections: int) -> Iterator[Bench]:
    """The equipment of all rows. Raises MissingError if some is missing."""
    machine.prepare(connections)
    with tempfile.TemporaryDirectory(prefix="swarna-bench-") as name:
        folder = Path(name)
        meter, reads_compressed = meters.build(folder)
        if not reads_compressed:
            print(
                "zlib.h is not there: no latency of compressed updates (on Debian and Ubuntu: apt install zlib1g-dev)"
            )
        with servers.valkey(folder) as redis_url:
            around = servers.Surroundings(folder, redis_url)
            servers.prepare_database(around)
            bench = Bench(around, meter, reads_compressed, quick)
            record(bench)
            yield bench


def record(bench: Bench) -> None:
    """Record some updates of ours, so that the other servers send the same."""
    with bench.swarna() as server, meters.Meter(bench.meter, server.port, record=bench.around.payloads) as meter:
        meter.open(1, in_flight=1)
        server.publishing(50, 64).stamps()
        meter.settled()
    size = bench.around.payloads.stat().st_size / len(bench.around.payloads.read_text().splitlines())
    bench.say(f"an update is {size:.0f} bytes")


def measure(bench: Bench, names: list[str], out: Path | None) -> None:
    """Measure rows and print them; keep them unless this is a rehearsal."""
    store = KEPT / "results.json"
    for name in names:
        print(f"{name}:", flush=True)
        began = time.monotonic()
        lines = list(ROWS[name].measure(bench))
        print(f"\n{report.markdown(lines)}\n\n({time.monotonic() - began:.0f} s)\n", flush=True)
        if not bench.quick:
            KEPT.mkdir(parents=True, exist_ok=True)
            report.keep(store, name, lines)
    if bench.quick:
        print("This was a rehearsal: nothing of it is kept.")
    elif out:
        report.write(out, report.results(store, ROWS))
        print(f"written to {out}")


def main() -> None:
    options = arguments()
    names = [name.strip() for name in options.rows.split(",") if name.strip()] or list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"There is no row {', '.join(unknown)}: choose of {', '.join(ROWS)}.")
    connections = 2000 if options.soak else 1000 if options.quick else max(ROWS[name].connections for name in names)
    try:
        if not options.soak and any(ROWS[name].node for name in names):
            servers.install_node_packages()
        with ready(options.quick, connections) as bench:
            if options.soak:
                sys.exit(not soak(bench, options.soak))
            else:
                measure(bench, names, Path(options.out) if options.out else None)
    except machine.MissingError as missing:
        sys.exit(str(missing))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
