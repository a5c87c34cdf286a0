"""``weft status``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft status
  weft status --format json
"""


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    status = context.get("/v1/status")
    if args.format == "json":
        output.document(status)
    else:
        _print(status)
    return 0


def _print(status: dict[str, Any]) -> None:
    agent = status["agent"]
    print(f"agent        weft {agent['version']}, pid {agent['pid']}, up {agent['uptime']:.0f} s")
    print(f"state        {agent['state_dir']}")
    print(f"run          {agent['run_dir']}")
    print(f"networks     {status['networks']}")
    print(f"containers   {status['containers']}, {status['running']} running, {status['endpoints']} endpoints")
    repair = status["last_repair"]
    print(f"last repair  {_repair(repair) if repair else 'none'}")
    print(f"problems     {len(status['problems']) or 'none'}")
    for problem in status["problems"]:
        print(f"  {problem['what']}")
        if problem["hint"]:
            print(f"    hint: {problem['hint']}")


def _repair(repair: dict[str, Any]) -> str:
    return f"{repair['time']}, {len(repair['commands'])} operations ({repair['reason']})"
