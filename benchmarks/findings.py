"""What the results of the benchmarks mean: figures to draw, and targets that are met or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.harness import Result


class Bar(NamedTuple):
    """One side's figure: median and quartiles."""

    label: str
    median: float
    low: float
    high: float


class Target(NamedTuple):
    """What has to be reached, what was, and whether that is enough."""

    text: str
    reached: str
    met: bool


class Finding(NamedTuple):
    """One number: who was measured, in which unit, and how it stands with the targets.

    ``curves`` are figures that change along a count: label → (count, figure) points.
    """

    number: str
    title: str
    unit: str
    bars: list[Bar]
    targets: list[Target]
    curves: dict[str, list[tuple[int, float]]] = {}


def _ratio(text: str, ratio: float, most: float) -> Target:
    return Target(text, f"{ratio:.2f} ×", ratio <= most)


def _milliseconds(label: str, figures: Result) -> Bar:
    return Bar(label, figures["median_ms"], *figures["spread_ms"])


def attach(result: Result) -> Finding:
    """N1: one endpoint in the kernel, beside hand-written netlink."""
    own, hand = result["weft"], result["by hand"]
    return Finding(
        "N1",
        "Attach one endpoint in the kernel: veth, bridge port, address, default route, filter",
        "ms",
        [_milliseconds("weft", own), _milliseconds("by hand, pyroute2", hand)],
        [
            _ratio("median ≤ 1.3 × by hand", own["median_ms"] / hand["median_ms"], 1.3),
            _ratio("99th percentile ≤ 4 × median", own["p99_ms"] / own["median_ms"], 4),
        ],
    )


def many(result: Result) -> Finding:
    """N5: many attachments at once and in a row."""
    burst, row = result["at_once_s"], result["in_a_row"]["weft"]
    took = burst["weft"]["median"]
    targets = [
        Target(f"{result['burst']} at once ≤ 0.5 s", f"{took:.2f} s", took <= 0.5),
        Target(f"{row['count']} in a row ≤ {row['count'] * 0.004:g} s", f"{row['total_s']:.2f} s",
               row["total_s"] <= row["count"] * 0.004),
        _ratio("the last ≤ 1.2 × the first", row["growth"], 1.2),
    ]  # fmt: skip
    curves = {}
    for name, figures in result["in_a_row"].items():
        step = max(1, round(figures["count"] / len(figures["curve_ms"])))
        curves[name] = [((at + 1) * step, value) for at, value in enumerate(figures["curve_ms"])]
    bars = [Bar(name, figures["median"], *figures["spread"]) for name, figures in burst.items()]
    title = f"{result['burst']} attachments at once, through the API or as processes"
    return Finding("N5", title, "s", bars, targets, curves)


def ports(result: Result) -> Finding:
    """N6: connections through a published port."""
    bars = [Bar(name, figures["median"], *figures["spread"]) for name, figures in result["per_second"].items()]
    reached = result["weft_ratio"]
    target = Target(
        f"with {result['ports']} ports ≥ 95 % of the rate with one", f"{reached:.1%}", reached >= 0.95
    )
    return Finding("N6", "New connections a second through a published port", "connections/s", bars, [target])


def names(result: Result) -> Finding:
    """N7: look-ups."""
    bars = [Bar(side, figures["per_second"], *figures["spread"]) for side, figures in result.items()]
    targets = []
    if "docker" in result:
        ratio = result["docker"]["weft_to_it"]
        targets.append(Target("≥ Docker's resolver", f"{ratio:.2f} ×", ratio >= 1))
    return Finding("N7", "Name look-ups a second from a container", "look-ups/s", bars, targets)


def memory(result: Result) -> Finding:
    """N13: memory and idle time."""
    resident, idle = result["resident_mb"], result["idle_percent"]
    figures = {"agent, no endpoint": result["empty_mb"], f"agent, {result['endpoints']} endpoints": resident}
    figures["its name server"] = result["name_servers_mb"]
    if "docker_empty_mb" in result:
        figures["dockerd and containerd, no container"] = result["docker_empty_mb"]
    return Finding(
        "N13",
        f"Memory with {result['endpoints']} endpoints",
        "MB",
        [Bar(name, value, value, value) for name, value in figures.items()],
        [
            Target("resident ≤ 80 MB", f"{resident} MB", resident <= 80),
            Target("idle ≤ 1 % of a processor", f"{idle} %", idle <= 1),
        ],
    )


def cli(result: Result) -> Finding:
    """N14: a short command."""
    figures = {name: value for name, value in result.items() if name != "count"}
    own = figures["weft ps"]["median_ms"]
    bars = [_milliseconds(name, value) for name, value in figures.items()]
    return Finding(
        "N14", "A short command, as a whole process", "ms", bars, [Target("'weft ps' ≤ 80 ms", f"{own} ms", own <= 80)]
    )


#: Benchmarks (modules of this package), in the order in which they are run and shown.
FINDINGS: dict[str, Callable[[Result], Finding]] = {
    "attach": attach,
    "many": many,
    "ports": ports,
    "names": names,
    "memory": memory,
    "cli": cli,
}
