"""Differences, and the commands that stand for them."""

from __future__ import annotations

import shlex

import pytest

from weft.model.base import replace
from weft.model.container import Namespace
from weft.plan.commands import nft_script
from weft.plan.drivers import registry
from weft.plan.host import base
from weft.plan.objects import Element, LinkUp, Sysctl, Table, Veth
from weft.plan.operations import Add, Change, Remove, additions, announcements, describe, difference, removals

from .records import HOST, endpoint, network, wiring

NET = network()
WEB = registry("bridge").endpoint(wiring(NET, endpoint(NET, "web", 2, publish=("8080:80",)), "web"), HOST)
SPACE = Namespace(path="/run/netns/web", inode=1)


def test_what_goes_with_an_interface_is_not_removed_by_itself() -> None:
    (interface,) = (operation for operation in removals(WEB) if not isinstance(operation.object, Element))  # type: ignore[union-attr]
    assert isinstance(interface, Remove)
    assert isinstance(interface.object, Veth)
    # Filters stay until there is nothing left to filter.
    assert removals(WEB)[0] == interface


def test_announcing_again_is_bringing_up_again() -> None:
    (operation,) = announcements(WEB)
    assert [command.partition("ip link ")[2] for command in operation.describe()] == [
        "set eth0 up",
        "set eth0 address 02:42:ac:14:00:02",
    ]


def test_elements_go_with_their_table() -> None:
    tables = base(HOST)
    assert removals((*tables, *WEB)) == (
        *(Remove(object=thing) for thing in WEB if isinstance(thing, Veth)),
        *(Remove(object=table) for table in reversed(tables)),
    )


def test_what_stays_on_an_interface_that_stays_is_compared() -> None:
    port = next(thing for thing in WEB if isinstance(thing, Veth))
    without = tuple(thing for thing in WEB if thing != LinkUp(name=port.name))
    assert difference(without, WEB) == (Remove(object=LinkUp(name=port.name)),)
    assert difference(WEB, without) == (Add(object=LinkUp(name=port.name)),)


def test_a_table_that_was_changed_is_written_anew_with_all_that_was_in_it() -> None:
    table = Table(family="inet", body="table inet weft {\n}\n")
    changed = Table(family="inet", body="table inet weft {\n\tset x {\n\t}\n}\n")
    element = Element(family="inet", set="bridges", match=("br0",))
    stray = Element(family="inet", set="bridges", match=("br1",))
    assert difference((table, element), (changed, element, stray)) == (
        Change(old=changed, new=table),
        Add(object=element),
    )


def test_the_host_keeps_settings_that_are_not_an_interface_s() -> None:
    switch = Sysctl(path="net/ipv6/conf/all/forwarding", value="1")
    assert difference((), (switch,)) == (Remove(object=switch),)


def test_undoing_is_the_inverse() -> None:
    for operation in additions(WEB):
        assert operation.undo() == Remove(object=operation.object)  # type: ignore[union-attr]
        assert operation.undo().undo() == operation


def test_a_script_puts_a_table_and_its_elements_in_place_at_once() -> None:
    table = Table(family="inet", body="table inet weft {\n}\n")
    element = Element(family="inet", set="publish_any4", match=("tcp", 80), value=("10.0.0.2", 80), comment="web")
    assert nft_script(table, [element]) == (
        "add table inet weft\ndelete table inet weft\ntable inet weft {\n}\n"
        'add element inet weft publish_any4 { tcp . 80 comment "web" : 10.0.0.2 . 80 }\n'
    )


@pytest.mark.parametrize(
    "comment", ['" }; flush ruleset; {', "a\nflush ruleset", "$(reboot)", "`reboot`", "';reboot;'"]
)
def test_no_comment_ends_its_quotes_or_its_command(comment: str) -> None:
    element = Element(family="inet", set="bridges", match=("br0",), comment=comment)
    (command,) = describe([Add(object=element)])
    *_, braces = shlex.split(command)
    assert "\n" not in command
    assert braces.startswith('{ "br0" comment "')
    assert braces.endswith('" }')
    assert braces.count('"') == 4


@pytest.mark.parametrize("name", ["drop", "10", "ip", "br.7", "a-b"])
def test_interfaces_may_be_called_like_words_of_nft(name: str) -> None:
    (command,) = describe([Add(object=Element(family="inet", set="bridges", match=(name,)))])
    assert shlex.split(command)[-1] == ("{ br.7 }" if name == "br.7" else f'{{ "{name}" }}')


def test_commands_for_a_container_are_run_in_its_namespace() -> None:
    inside = [thing for thing in WEB if thing.where is not None]
    housed = [replace(thing, ns=SPACE) for thing in inside]
    for command in describe(additions(tuple(housed))):
        assert command.startswith("nsenter --net=/run/netns/web ")
