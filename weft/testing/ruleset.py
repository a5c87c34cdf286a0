"""nftables rules, read from the text that weft's tables are written in.

This reads the part of nft(8)'s language that they use, in the form in which ``nft list`` prints it, and refuses
everything else, so that a rule cannot be misunderstood silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r'"[^"]*"|@th,\d+,\d+|[{},]|[^\s{},]+')

#: Everything that a rule can look at.
FIELDS = frozenset(
    {
        "iifname", "oifname", "ether saddr", "ether type", "arp saddr ether", "arp saddr ip", "ip saddr", "ip daddr",
        "ip6 saddr", "ip6 daddr", "th dport", "udp sport", "igmp type", "icmp type", "icmpv6 type", "meta nfproto",
        "meta l4proto", "ct state", "ct status", "fib daddr type", "@th,64,128",
    }
)  # fmt: skip
_LONGEST_FIELD = 3

#: Priorities that nft prints by name, as numbers (nft(8), 'Standard priority names').
_PRIORITIES = {"raw": -300, "dstnat": -100, "filter": 0, "srcnat": 100}
_BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "srcnat": 300}


@dataclass(frozen=True)
class Match:
    """The values of ``fields`` are (or, ``negated``, are not) in the set called ``named`` or among ``values``."""

    fields: tuple[str, ...]
    negated: bool
    named: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """'accept', 'drop', or 'jump' or 'goto' a chain."""

    kind: str
    chain: str = ""


@dataclass(frozen=True)
class Translate:
    """'masquerade', or 'dnat' to what the map called ``named`` has for ``fields``: a port, or an address and a port."""

    kind: str
    fields: tuple[str, ...] = ()
    named: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule; it acts if all of its matches hold."""

    text: str
    matches: tuple[Match, ...]
    action: Verdict | Translate
    comment: str = ""


@dataclass(frozen=True)
class Chain:
    """A chain; those that are no hook's (``hook`` '') are jumped to from others."""

    name: str
    rules: tuple[Rule, ...]
    hook: str = ""
    kind: str = ""
    priority: int = 0


def parse_table(body: str, family: str) -> dict[str, Chain]:
    """Return the chains of a table by name; raise ValueError at anything that is not understood."""
    chains: dict[str, Chain] = {}
    for name, lines in re.findall(r"^\tchain (\S+) \{\n(.*?)^\t\}$", body, re.MULTILINE | re.DOTALL):
        rules = [line.strip() for line in lines.splitlines()]
        hook, kind, priority = _parse_head(rules.pop(0), family) if rules[0].startswith("type ") else ("", "", 0)
        chains[name] = Chain(name, tuple(map(parse_rule, rules)), hook, kind, priority)
    return chains


def _parse_head(line: str, family: str) -> tuple[str, str, int]:
    """Return hook, kind and priority."""
    found = re.fullmatch(r"type (\w+) hook (\w+) priority ([^;]+); policy accept;", line)
    if not found:
        raise ValueError(f"not understood: {line!r}")
    kind, hook, priority = found.groups()
    name, _, offset = priority.partition(" ")
    names = _BRIDGE_PRIORITIES if family == "bridge" else _PRIORITIES
    number = names[name] if name in names else int(name)
    return hook, kind, number + int(offset.replace(" ", "") or 0)


def parse_rule(text: str) -> Rule:
    """Return the rule that ``text`` is; raise ValueError if it is not understood."""
    reader = _Reader(text)
    matches: list[Match] = []
    action: Verdict | Translate | None = None
    comment = ""
    while reader.more:
        if reader.take("comment"):
            comment = reader.next().strip('"')
        elif reader.at_field:
            matches.append(reader.match())
        elif action is None:
            action = reader.action()
        else:
            raise reader.error()
    if action is None:
        raise reader.error()
    return Rule(text=text, matches=tuple(matches), action=action, comment=comment)


class _Reader:
    """The tokens of a rule, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        # The colon stands before a port ('to :iifname …') and has no meaning of its own: the map says what it leads to.
        self._tokens = [re.sub(r"^:(?=[a-z])", "", token) for token in _TOKEN.findall(text)]
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    @property
    def at_field(self) -> bool:
        return self._field_length() > 0

    def error(self) -> ValueError:
        return ValueError(f"not understood near {' '.join(self._tokens[self._at : self._at + 2])!r}: {self._text!r}")

    def next(self) -> str:
        if not self.more:
            raise self.error()
        self._at += 1
        return self._tokens[self._at - 1]

    def take(self, *tokens: str) -> bool:
        """Take ``tokens`` if they come next."""
        if tuple(self._tokens[self._at : self._at + len(tokens)]) != tokens:
            return False
        self._at += len(tokens)
        return True

    def match(self) -> Match:
        fields = self._fields()
        negated = self.take("!=") or self.take("!")
        if self._tokens[self._at : self._at + 1] and self._tokens[self._at].startswith("@"):
            return Match(fields, negated, named=self.next()[1:])
        return Match(fields, negated, values=self._values())

    def action(self) -> Verdict | Translate:
        word = self.next()
        if word in {"accept", "drop"}:
            return Verdict(word)
        if word in {"jump", "goto"}:
            return Verdict(word, self.next())
        if word == "masquerade":
            return Translate(word)
        if word == "dnat":
            _ = self.take("ip") or self.take("ip6")
            if self.take("to"):
                fields = self._fields()
                if self.take("map"):
                    return Translate(word, fields, self.next().removeprefix("@"))
        raise self.error()

    def _fields(self) -> tuple[str, ...]:
        fields = []
        while True:
            length = self._field_length()
            if not length:
                raise self.error()
            fields.append(" ".join(self._tokens[self._at : self._at + length]))
            self._at += length
            if not self.take("."):
                return tuple(fields)

    def _field_length(self) -> int:
        lengths = range(_LONGEST_FIELD, 0, -1)
        return next((n for n in lengths if " ".join(self._tokens[self._at : self._at + n]) in FIELDS), 0)

    def _values(self) -> tuple[str, ...]:
        braces = self.take("{")
        values = [self.next().strip('"')]
        while self.take(","):
            values.append(self.next().strip('"'))
        if braces and not self.take("}"):
            raise self.error()
        return tuple(values)
