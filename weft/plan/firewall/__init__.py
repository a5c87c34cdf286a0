"""weft's two nftables tables, and what networks, containers, links and resolvers are in them.

The chains are fixed (``inet_table``, ``bridge_table``); everything that comes and goes is an element.
"""

from weft.plan.firewall.containers import guard, link, publish
from weft.plan.firewall.networks import members, transit
from weft.plan.firewall.resolvers import resolver_port, resolver_view
from weft.plan.firewall.tables import tables

__all__ = ["guard", "link", "members", "publish", "resolver_port", "resolver_view", "tables", "transit"]
