"""Asking other firewalls on the host to let weft's bridges pass.

A packet passes only if every table lets it, so weft's own accept does not open what another manager closes.  Each of
them documents a place for such wishes, and weft uses that one: the chain DOCKER-USER, a zone of firewalld, rules
of ufw.  What weft's own tables forbid stays forbidden, for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from weft.model.network import Network
from weft.plan.drivers.base import Host
from weft.plan.objects import Admission, Manager, Objects


def plan(networks: Iterable[Network], host: Host) -> Objects:
    """Return one admission for each bridge and each active foreign firewall that weft knows."""
    bridges = [network.bridge for network in networks if network.bridge]
    managers: tuple[Manager, ...] = get_args(Manager)
    return tuple(
        Admission(manager=manager, interface=bridge)
        for manager in managers
        if manager in host.facts.firewalls
        for bridge in bridges
    )
