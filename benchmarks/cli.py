"""N14: what a short command costs as a whole process, from being started to being gone.

    python -m benchmarks.cli [--count 50] [--json]

'weft ps' asks an agent that runs ten containers.  Beside it, in turn, A B C A B C …: an interpreter that does nothing,
which is the floor for any program in Python, and 'docker version', where there is a docker to ask.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import harness
from weft.kernel import namespaces

CONTAINERS = 10


def _weft() -> list[str]:
    """Return the program as it is installed beside this interpreter, else as the package here."""
    installed = Path(sys.executable).with_name("weft")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "weft"]


@contextmanager
def _agent() -> Iterator[list[str]]:
    """An agent with containers, in the network namespace of the caller; yields the words that begin a command to it."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
        weft = [*_weft(), "--run-dir", f"{directory}/run"]
        subprocess.run([*weft, "up", "--state-dir", f"{directory}/state"], check=True, stdout=subprocess.DEVNULL)
        try:
            for _ in range(CONTAINERS):
                subprocess.run([*weft, "run", "-d", "--", "sleep", "600"], check=True, stdout=subprocess.DEVNULL)
            yield weft
        finally:
            subprocess.run([*weft, "down", "--all"], check=True)


def _milliseconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def measure(count: int) -> dict[str, object]:
    """Run each command ``count`` times, in turn."""
    with _agent() as weft:
        commands = {"weft ps": [*weft, "ps"], "python -c pass": [sys.executable, "-c", "pass"]}
        docker = shutil.which("docker")
        if docker and subprocess.run([docker, "version"], capture_output=True).returncode == 0:
            commands["docker version"] = [docker, "version"]
        for command in commands.values():
            _milliseconds(command)  # read into the page cache, compiled
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(count):
            for name, command in commands.items():
                times[name].append(_milliseconds(command))
    return {"count": count, **{name: _summary(values) for name, values in times.items()}}


def _summary(values: list[float]) -> dict[str, object]:
    return {
        "median_ms": round(statistics.median(values), 1),
        "p99_ms": round(statistics.quantiles(values, n=100)[98], 1),
        "spread_ms": [round(edge, 1) for edge in statistics.quantiles(values, n=4)[::2]],
    }


def measure_apart(count: int) -> harness.Result:
    """Measure in a namespace where nobody is disturbed."""
    return namespaces.in_new_namespace(lambda: measure(count))


if __name__ == "__main__":
    harness.main("N14: a short command as a whole process", measure_apart, count=50)
