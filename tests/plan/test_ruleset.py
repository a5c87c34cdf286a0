"""The reader of nft's language, by which packets are carried through tables without a kernel."""

from __future__ import annotations

import pytest

from weft.plan.firewall import tables
from weft.plan.objects import Element, Table
from weft.testing.evaluate import Tables
from weft.testing.ruleset import Match, Translate, Verdict, parse_rule, parse_table

TABLE = """\
table inet weft {
	set allowed {
		type ifname
	}

	chain early {
		type filter hook forward priority raw - 10; policy accept;
		iifname "a" accept comment "ends this chain only"
	}

	chain late {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.0.0.0/8 jump side
		iifname @allowed goto aside
		drop comment "last"
	}

	chain side {
		th dport 1 accept
	}

	chain aside {
		th dport 2 drop comment "aside"
	}
}
"""


def fates(**fields: str | int) -> str:
    filled = Tables.of((Table(family="inet", body=TABLE), Element(family="inet", set="allowed", match=("good",))))
    named = {name.replace("_", " "): value for name, value in fields.items()}
    outcome = filled.run("inet", "forward", named, kind="filter")
    return outcome.rule.comment if outcome.verdict == "drop" and outcome.rule else "accepted"


def test_a_rule_is_matches_and_an_action() -> None:
    rule = parse_rule(
        'iifname . ip daddr != @own ct state established,related meta l4proto { tcp, udp } drop comment "a b"'
    )
    assert rule.matches == (
        Match(("iifname", "ip daddr"), True, named="own"),
        Match(("ct state",), False, values=("established", "related")),
        Match(("meta l4proto",), False, values=("tcp", "udp")),
    )
    assert (rule.action, rule.comment) == (Verdict("drop"), "a b")


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("dnat to :iifname . ip saddr map @r", Translate("dnat", ("iifname", "ip saddr"), "r")),
        ("dnat ip6 to meta l4proto . th dport map @p", Translate("dnat", ("meta l4proto", "th dport"), "p")),
        ("masquerade", Translate("masquerade")),
        ("goto guard", Verdict("goto", "guard")),
    ],
)
def test_actions(text: str, action: Verdict | Translate) -> None:
    assert parse_rule(text).action == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp dport 80 accept",
        "iifname lo",
        "accept drop",
        "ip saddr { 10.0.0.1 accept",
        "limit rate 1/second drop",
        "dnat to",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse_rule(text)


def test_every_rule_of_both_tables_is_understood() -> None:
    for table in tables():
        assert isinstance(table, Table)
        rules = [rule.text for chain in parse_table(table.body, table.family).values() for rule in chain.rules]
        lines = table.body.partition("\tchain ")[2].splitlines()
        assert rules == [line.strip() for line in lines if line.startswith("\t\t") and not line.startswith("\t\ttype ")]


def test_an_accept_ends_its_chain_and_not_the_hook() -> None:
    assert fates(iifname="a") == "last"


def test_a_jump_comes_back_and_a_goto_does_not() -> None:
    assert fates(iifname="b", ip_saddr="10.1.2.3", th_dport=1) == "accepted"
    assert fates(iifname="b", ip_saddr="10.1.2.3", th_dport=2) == "last"
    assert fates(iifname="good", ip_saddr="192.0.2.1", th_dport=2) == "aside"
    assert fates(iifname="good", ip_saddr="192.0.2.1", th_dport=3) == "accepted"


def test_a_match_on_what_a_packet_has_not_does_not_hold() -> None:
    assert fates(iifname="b", th_dport=1) == "last"
