"""``weft completion``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.cli.context import Context

EXAMPLES = """\
examples:
  source <(weft completion bash)                                 in ~/.bashrc
  weft completion zsh > "${fpath[1]}/_weft"
  weft completion fish > ~/.config/fish/completions/weft.fish
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that the script is for")


def execute(args: Namespace, context: Context) -> int:
    from weft.cli.completing import script

    print(script(args.shell))
    return 0
