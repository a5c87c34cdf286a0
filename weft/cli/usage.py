"""Arguments that the grammar allows but that make no sense together."""

from __future__ import annotations


class UsageError(Exception):
    """Ends the program with the command's usage and exit code 2, as argparse's own complaints do."""
