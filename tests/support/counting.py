"""A process for test_shared_metrics.py that counts in the folder its argument names, as each line it reads says."""

import os
import sys
from pathlib import Path

from prometheus_client import generate_latest

from streaming.engine.reasons import CloseReason
from streaming.metrics import Metrics


def main() -> None:
    metrics = Metrics(Path(sys.argv[1]))
    print(".", flush=True)
    for line in sys.stdin:
        match line.strip():
            case "accepted":
                metrics.accepted()
            case "closed":
                metrics.closed(CloseReason.CLIENT)
            case "fanned_out":
                metrics.fanned_out(sent=10, skipped=1, shared=9, bytes=700, seconds=0.002, age_seconds=0.02)
            case "log":
                print(metrics.log_line())
            case "scrape":
                print(generate_latest(metrics.registry).decode(), end="")
            case "environment":
                print(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
            case "fork":
                if child := os.fork():
                    os.waitpid(child, 0)
                else:
                    try:
                        metrics.accepted()
                    except RuntimeError as error:
                        print(error, flush=True)
                    os._exit(0)
        print(".", flush=True)


if __name__ == "__main__":
    main()
