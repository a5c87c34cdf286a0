"""What nftables would do with a packet: chains of a hook, in order, rule after rule."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from weft.plan.objects import Element, Table
from weft.testing.ruleset import Chain, Match, Rule, Translate, Verdict, parse_table

#: What a rule can look at in a packet.  What a packet has not (an IPv4 one an 'ip6 saddr') is not there, and no match
#: on it holds.  'ct state' and 'ct status' are sets of words.
Fields = Mapping[str, str | int | frozenset[str]]


@dataclass(frozen=True)
class Outcome:
    """What a hook decided, and by which rule; with ``translation``, to which address ('' keeps it) and port."""

    verdict: str = "accept"
    rule: Rule | None = None
    chain: str = ""
    translation: str = ""
    address: str = ""
    port: int = 0


@dataclass
class Tables:
    """weft's tables with their elements."""

    chains: dict[str, dict[str, Chain]] = field(default_factory=dict)
    elements: dict[tuple[str, str], dict[tuple[str | int, ...], Element]] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[object]) -> Tables:
        """Return the tables among ``objects``, filled with the elements among them."""
        tables = cls()
        for thing in objects:
            if isinstance(thing, Table):
                tables.chains[thing.family] = parse_table(thing.body, thing.family)
            elif isinstance(thing, Element):
                tables.elements.setdefault((thing.family, thing.set), {})[thing.match] = thing
        return tables

    def run(self, family: str, hook: str, fields: Fields, *, kind: str) -> Outcome:
        """Return what the chains of a hook that are of a ``kind`` ('filter' or 'nat') decide about a packet.

        An accept ends a chain, not the hook; a drop or a translation ends both.
        """
        mine = self.chains.get(family, {}).values()
        hooked = [chain for chain in mine if (chain.hook, chain.kind) == (hook, kind)]
        for chain in sorted(hooked, key=lambda chain: chain.priority):
            outcome = self._chain(family, chain, fields)
            if outcome is not None and (outcome.verdict == "drop" or outcome.translation):
                return outcome
        return Outcome()

    def _chain(self, family: str, chain: Chain, fields: Fields) -> Outcome | None:
        """Return what a chain decides, None if it comes to its end."""
        for rule in chain.rules:
            if not all(self._holds(family, match, fields) for match in rule.matches):
                continue
            if isinstance(rule.action, Translate):
                outcome = self._translation(family, chain, rule, rule.action, fields)
            else:
                outcome = self._verdict(family, chain, rule, rule.action, fields)
            if outcome is not None:
                return outcome
            if isinstance(rule.action, Verdict) and rule.action.kind == "goto":
                return None
        return None

    def _verdict(self, family: str, chain: Chain, rule: Rule, verdict: Verdict, fields: Fields) -> Outcome | None:
        if verdict.chain:
            return self._chain(family, self.chains[family][verdict.chain], fields)
        return Outcome(verdict.kind, rule, chain.name)

    def _translation(self, family: str, chain: Chain, rule: Rule, action: Translate, fields: Fields) -> Outcome | None:
        if action.kind == "masquerade":
            return Outcome("accept", rule, chain.name, translation="masquerade")
        key = _key(action.fields, fields)
        element = self.elements.get((family, action.named), {}).get(key) if key else None
        if element is None:
            return None
        *address, port = element.value
        return Outcome("accept", rule, chain.name, "dnat", address=str(*address), port=int(port))

    def _holds(self, family: str, match: Match, fields: Fields) -> bool:
        key = _key(match.fields, fields)
        if key is None:
            return False
        if match.named:
            return (key in self.elements.get((family, match.named), {})) != match.negated
        (value,) = key
        return any(_is(value, text) for text in match.values) != match.negated


def _key(names: tuple[str, ...], fields: Fields) -> tuple[str | int, ...] | None:
    """Return the values of fields as elements hold them, None if the packet lacks one."""
    if any(name not in fields for name in names):
        return None
    return tuple(fields[name] for name in names)  # type: ignore[misc]


def _is(value: object, text: str) -> bool:
    if isinstance(value, frozenset):
        return text in value
    if "/" in text:
        return ipaddress.ip_address(str(value)) in ipaddress.ip_network(text)
    return str(value) == text
