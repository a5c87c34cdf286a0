"""The tables as objects."""

from __future__ import annotations

from weft.plan.firewall import bridge_table, inet_table
from weft.plan.objects import Objects, Table


def tables() -> Objects:
    """Return weft's two tables, without any elements."""
    return (Table(family="bridge", body=bridge_table.BODY), Table(family="inet", body=inet_table.BODY))
