"""All benchmarks, or those that are named: run, recorded in docs/benchmarks.json, written to docs/benchmarks.md.

    python -m benchmarks [NAME]...          make bench BENCH="ports memory"
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from typing import Any

from benchmarks import peers, report
from benchmarks.findings import FINDINGS
from benchmarks.harness import machine


def main() -> int:
    """Run what the command line names; return how many benchmarks could not be run."""
    wanted = sys.argv[1:] or list(FINDINGS)
    unknown = [name for name in wanted if name not in FINDINGS]
    if unknown:
        print(f"unknown: {' '.join(unknown)} (there are: {' '.join(FINDINGS)})", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("weft: the benchmarks make network namespaces and need root: sudo make bench", file=sys.stderr)
        return 1
    missing = peers.unpack()
    if missing:
        print(f"left out, because Debian's packages cannot be had: {' '.join(missing)}", file=sys.stderr)
    os.environ["PATH"] = peers.search_path()
    record = _record()
    failed = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            failed.append(name)
            continue
        record["results"][name] = json.loads(done.stdout)
        report.RECORD.write_text(json.dumps(record, indent=1) + "\n")
        report.write(record)
    print(f"written: {report.PAGE}" if len(failed) < len(wanted) else "nothing was measured", file=sys.stderr)
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return len(failed)


def _record() -> dict[str, Any]:
    """Return a record to be filled, with the results of earlier runs if they are of this very machine and software."""
    facts = machine() | peers.versions()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    results: dict[str, Any] = {}
    if report.RECORD.exists():
        earlier = json.loads(report.RECORD.read_text())
        if earlier["machine"] == facts:
            results = earlier["results"]
    return {"machine": facts, "date": today, "results": results}


if __name__ == "__main__":
    sys.exit(main())
