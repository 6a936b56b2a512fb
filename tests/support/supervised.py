"""A process for test_up.py: a Supervisor over the programs that its argument lists as JSON."""

import json
import sys

from infra.process import supervisor


def main() -> None:
    order = json.loads(sys.argv[1])
    supervisor.GRACE = order["grace"]
    supervised = supervisor.Supervisor(watchdogs=order["watchdogs"])
    try:
        for program in order["programs"]:
            stdin = program.pop("stdin", "").encode()
            supervised.start(supervisor.Program(**program, stdin=stdin))
        supervised.run()
    finally:
        supervised.kill()


if __name__ == "__main__":
    main()
