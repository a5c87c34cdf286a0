"""What the benchmarks have in common: sides measured in turn, medians with their spread, and facts about the machine.

A figure alone says little: it drifts with the machine and with what else runs on it.  So the sides of a comparison are
measured in one run, in turn (A B A B …), and what counts is the ratio of their medians.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import weft

Result = dict[str, Any]


def timed(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes (seconds); the garbage of others is collected before and not meanwhile."""
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun
    finally:
        gc.enable()


def interleave(
    sides: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Measure each side ``rounds`` times, in turn, after ``warm_up`` rounds that do not count.

    Every other round goes backwards, so that no side always follows the same one.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-warm_up, rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            value = sides[name]()
            if number >= 0:
                values[name].append(value)
    return values


def summary(values: Sequence[float], digits: int = 2) -> Result:
    """Return median, quartiles and 99th percentile of ``values``."""
    at = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {
        "median": round(statistics.median(values), digits),
        "spread": [round(at[24], digits), round(at[74], digits)],
        "p99": round(at[98], digits),
        "count": len(values),
    }


def machine() -> dict[str, str]:
    """Return what the figures depend on: processor, kernel, versions."""
    processors = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", processors, re.MULTILINE)
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    facts = {
        "processor": f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "distribution": platform.freedesktop_os_release()["PRETTY_NAME"],
        "python": platform.python_version(),
        "weft": weft.__version__,
    }
    return facts | {name: version for name in _PROGRAMS if (version := _version(name))}


#: Programs of the machine that take part, and say which version they are.
_PROGRAMS = ("nft", "dnsmasq", "iptables")


def _version(program: str) -> str:
    if not shutil.which(program):
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else ""


def main(description: str, measure: Callable[..., Result], **options: Any) -> None:
    """Be the program of one benchmark; ``options`` are the arguments of ``measure`` and their defaults."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default: {default}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    if os.geteuid() != 0:
        sys.exit("weft: this makes network namespaces and needs root")
    result = measure(**arguments)
    if as_json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:24} {value}")
