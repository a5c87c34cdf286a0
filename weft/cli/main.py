"""From the words on the command line to an exit code.

0          done
1          weft or the agent refused; 'weft: cause' and a hint are on standard error
2          the command line makes no sense
130, 141   interrupted by Ctrl-C; nobody reads the output any more
other      the exit code of the process that 'weft run' followed
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from weft.cli import output, parser
from weft.cli.context import Context, Daemon
from weft.cli.usage import UsageError
from weft.model.errors import WeftError

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str], daemon: Daemon) -> int:
    """Carry out the command that ``argv`` (without the program's name) spells; return the exit code."""
    try:
        code = _run(argv, daemon)
        sys.stdout.flush()
        return code
    except WeftError as error:
        output.error(error)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end and must not stumble again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _run(argv: Sequence[str], daemon: Daemon) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from weft.cli.completing import complete

        complete()
    args = parser.build(argv).parse_args(argv)
    context = Context(getattr(args, "run_dir", None), daemon)
    try:
        code: int = args.execute(args, context)
    except UsageError as error:
        args.parser.error(str(error))
    return code
