"""weft's two nftables tables, and what networks, containers and links are in them.

The chains are fixed (``inet_table``, ``bridge_table``); everything that comes and goes is an element.  Those of name
servers are in ``weft.plan.names``.
"""

from weft.plan.firewall.containers import COMMENT_LENGTH, guard, link, publish
from weft.plan.firewall.networks import members, transit
from weft.plan.firewall.tables import tables

__all__ = ["COMMENT_LENGTH", "guard", "link", "members", "publish", "tables", "transit"]
