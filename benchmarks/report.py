"""Results as a page with tables and plots: docs/benchmarks.md.

    python -m benchmarks.report        from docs/benchmarks.json, which every run writes
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
# Text stays text, and the same figures give the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "weft", "font.size": 9})

from matplotlib import pyplot  # noqa: E402  (the backend has to be chosen before)

from benchmarks.findings import FINDINGS, Finding  # noqa: E402

DOCS = Path(__file__).parents[1] / "docs"
RECORD = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
PICTURES = DOCS / "benchmarks"

_OWN, _OTHER = "#1f6f8b", "#b9b9b9"

_INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit. All sides of a comparison were measured in one run on one machine, in turn
(A B A B …). Figures are medians with quartiles in brackets; they drift with the machine, the ratios much less. Peers
are Debian's packages, each started in namespaces of its own. What is measured exactly is said at the top of each
`benchmarks/*.py`.
"""


def write(record: dict[str, Any]) -> None:
    """Write the page and its pictures for ``record``, as benchmarks.json holds it."""
    PICTURES.mkdir(exist_ok=True)
    findings = [FINDINGS[name](record["results"][name]) for name in FINDINGS if name in record["results"]]
    parts = [_INTRODUCTION, _machine(record), _targets(findings)]
    for finding in findings:
        parts.append(_section(finding))
    PAGE.write_text("\n".join(parts))


def _machine(record: dict[str, Any]) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in record["machine"].items())
    return f"Measured on {record['date']}:\n\n| | |\n|---|---|\n{facts}\n"


def _targets(findings: list[Finding]) -> str:
    lines = ["## Targets\n", "| | target | reached | |", "|---|---|---|---|"]
    for finding in findings:
        for target in finding.targets:
            met = "met" if target.met else "**missed**"
            lines.append(f"| {finding.number} | {target.text} | {target.reached} | {met} |")
    return "\n".join(lines) + "\n"


def _section(finding: Finding) -> str:
    lines = [f"## {finding.number}: {finding.title}\n", f"| | {finding.unit} | |", "|---|---:|---|"]
    for bar in finding.bars:
        spread = f"({_figure(bar.low)} – {_figure(bar.high)})" if bar.low != bar.high else ""
        lines.append(f"| {bar.label} | {_figure(bar.median)} | {spread} |")
    name = finding.number.lower()
    _draw_bars(finding, PICTURES / f"{name}.svg")
    lines.append(f"\n![{finding.title}](benchmarks/{name}.svg)\n")
    if finding.curves:
        _draw_curves(finding, PICTURES / f"{name}-row.svg")
        lines.append(f"One attachment, by how many there are already:\n\n![growth](benchmarks/{name}-row.svg)\n")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _draw_bars(finding: Finding, path: Path) -> None:
    bars = list(reversed(finding.bars))  # the first on top
    figure, axes = pyplot.subplots(figsize=(6.5, 0.5 + 0.4 * len(bars)), layout="constrained")
    medians = [bar.median for bar in bars]
    reach = [[bar.median - bar.low for bar in bars], [bar.high - bar.median for bar in bars]]
    colours = [_OWN if bar.label.startswith(("weft", "agent")) else _OTHER for bar in bars]
    axes.barh([bar.label for bar in bars], medians, xerr=reach, color=colours, ecolor="#555555", capsize=2)
    _finish(axes, finding.unit)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_curves(finding: Finding, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(6.5, 3), layout="constrained")
    for label, points in finding.curves.items():
        axes.plot(*zip(*points, strict=True), label=label, marker=".", linewidth=2 if label == "weft" else 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("attached")
    axes.set_ylabel("ms")
    axes.legend(frameon=False)
    _finish(axes, "attached")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _finish(axes: Any, unit: str) -> None:
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    write(json.loads(RECORD.read_text()))
