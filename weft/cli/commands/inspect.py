"""``weft inspect``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from weft.api.client import segment
from weft.cli import options, output
from weft.cli.context import Context
from weft.cli.each import each
from weft.model.errors import ContainerNotFound, NetworkNotFound

EXAMPLES = """\
examples:
  weft inspect web
  weft inspect web | jq -r '.[0].NetworkSettings.IPAddress'
"""


def configure(parser: ArgumentParser) -> None:
    options.add_container(parser, many=True)


def execute(args: Namespace, context: Context) -> int:
    found: list[Any] = []
    code = each(args.containers, lambda name: found.append(_inspect(name, context)))
    output.document(found)
    return code


def _inspect(name: str, context: Context) -> Any:
    """Return the container of that name, or else the network."""
    try:
        return context.get(f"/v1/containers/{segment(name)}")
    except ContainerNotFound as error:
        try:
            return context.get(f"/v1/networks/{segment(name)}")
        except NetworkNotFound:
            raise error from None
