"""The rules that ufw(8) is asked for.

Its route rules let the packets of a bridge's containers pass.  As ufw comes it also closes the host itself, and with it
the name servers on the bridges' gateways, without which containers know no names at all; so these are asked for too,
and nothing else of the host is.  A query has been led to the server of its view before ufw sees it.
"""

from __future__ import annotations

from weft.plan.names import FIRST_VIEW_PORT, STANDARD_PORT

#: The ports of name servers; those of views come one after the other.  The range ends before services that are common.
NAME_PORTS = f"{STANDARD_PORT},{FIRST_VIEW_PORT}:5399"

Words = tuple[str, ...]


def allow(interface: str) -> tuple[Words, ...]:
    """Return the words that follow 'ufw' in each command that lets a bridge pass."""
    return tuple((*kind, *rule) for kind, rule in _rules(interface))


def delete(interface: str) -> tuple[Words, ...]:
    """Return the words that follow 'ufw' in each command that takes a rule of ``allow`` back."""
    return tuple((*kind, "delete", *rule) for kind, rule in _rules(interface))


def _rules(interface: str) -> tuple[tuple[Words, Words], ...]:
    """Return the rules, each as its kind ('route' or none) and its words."""
    routed = ((("route",), ("allow", side, "on", interface)) for side in ("in", "out"))
    names = (
        ((), ("allow", "in", "on", interface, "proto", protocol, "to", "any", "port", NAME_PORTS))
        for protocol in ("udp", "tcp")
    )
    return (*routed, *names)
