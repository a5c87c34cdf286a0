"""``weft events``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft events                 until Ctrl-C
  weft events --format json   a line of JSON for each
"""

_TOLD = ("time", "type", "action", "id", "name")


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    for line in context.client.lines("/v1/events"):
        if not line.strip():
            continue
        print(line.decode().rstrip("\n") if args.format == "json" else _text(json.loads(line)))
        sys.stdout.flush()
    return 0


def _text(event: dict[str, Any]) -> str:
    details = ", ".join(f"{key}={value}" for key, value in event.items() if key not in _TOLD and value != "")
    named = f"{event['name']} {output.short(event['id'])}".strip()
    return output.printable(
        " ".join(
            filter(None, (event["time"], event["type"], event["action"], named, f"({details})" if details else ""))
        )
    )
