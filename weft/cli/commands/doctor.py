"""``weft doctor``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft doctor                 exits with 1 if anything is wrong
"""

HEADERS = ("CHECK", "OK", "DETAIL", "HINT")


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    report = context.get("/v1/doctor")
    checks = report["checks"]
    if args.format == "json":
        output.document(report)
    else:
        rows = ((c["name"], output.yes(c["ok"]), c["detail"], "" if c["ok"] else c["hint"]) for c in checks)
        output.table(HEADERS, rows)
    return 0 if all(check["ok"] for check in checks) else 1
