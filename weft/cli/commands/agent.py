"""``weft agent``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from weft.cli import options
from weft.cli.context import Context, need_root

EXAMPLES = """\
examples:
  weft agent
  weft agent --config /etc/weft.toml
  weft agent --state-dir /tmp/two/state --run-dir /tmp/two/run      a second one, in another namespace
"""


def configure(parser: ArgumentParser) -> None:
    options.add_agent(parser)


def execute(args: Namespace, context: Context) -> int:
    need_root("the agent")
    config = Path(args.config) if args.config else None
    return context.be_agent(Path(args.state_dir), config, Path(args.resolv_conf))
