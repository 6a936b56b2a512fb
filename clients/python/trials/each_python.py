"""Try the Python package as strangers do: `.venv/bin/python clients/python/trials/each_python.py [SERVER] [PYTHON …]`.

It builds the wheel, installs the file by pip into a new environment of each Python (`python3.11` to `python3.13`, or
those that are named), and has README's first program print the price of gold of the server (http://127.0.0.1:3001/, as
`make demo` starts it). It needs the network.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer

PACKAGE = Path(__file__).resolve().parents[1]
SERVER = "http://127.0.0.1:3001/"
PYTHONS = ["python3.11", "python3.12", "python3.13"]
# Seconds for the program to print a price.
PATIENCE = 60


def main(server: str, *pythons: str) -> None:
    (program, *_) = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        run(str(Path(sys.executable).with_name("uv")), "build", "--quiet", "--wheel", "--out-dir", folder, str(PACKAGE))
        (wheel,) = Path(folder).glob("*.whl")
        for number, python in enumerate(pythons or PYTHONS):
            environment = Path(folder, str(number))
            run(python, "-m", "venv", str(environment))
            run(str(environment / "bin/pip"), "install", "--quiet", str(wheel))
            print(f"{python}: {first_line(environment / 'bin/python', program.replace(SERVER, server))}", flush=True)


def first_line(python: Path, program: str) -> str:
    """The first line that a program prints, in an environment of its own."""
    with subprocess.Popen([python, "-u", "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        end = Timer(PATIENCE, running.kill)  # of a program that prints nothing
        end.start()
        line = running.stdout.readline().strip()
        end.cancel()
        running.kill()
    return line or "nothing"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*(sys.argv[1:] or [SERVER]))
