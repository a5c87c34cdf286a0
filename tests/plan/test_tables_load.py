"""The tables and every kind of element are taken by the real nft, and come back as they were written."""

from __future__ import annotations

from weft.model.ports import ExposedPort
from weft.plan import firewall, names
from weft.plan.drivers import registry
from weft.plan.host import base
from weft.plan.objects import Element, Objects, Table
from weft.plan.operations import additions, describe

from .records import HOST, endpoint, network, wiring
from .scratch import Scratch, joined

EXPOSED = (ExposedPort(port=6379), ExposedPort(port=53, protocol="udp"))


def _everything() -> Objects:
    """Return elements for every set and map of both tables."""
    net, closed = network(), network("closed", ("172.21.0.0/16", "fd00:21::/64"), icc=False, internal=True)
    web = endpoint(
        net,
        "web",
        2,
        publish=("8080:80", "192.0.2.10:81:81/udp", "[2001:db8::10]:82:82", "127.0.0.1:83:83", "84:84/sctp"),
    )
    db = endpoint(closed, "db", 3)
    return joined(
        (
            *(registry("bridge").network(n, HOST) for n in (net, closed)),
            registry("bridge").endpoint(wiring(net, web, "web"), HOST),
            registry("bridge").endpoint(wiring(closed, db, "db"), HOST),
            firewall.link(db, endpoint(closed, "cache", 4), EXPOSED, "link"),
            names.redirect(web, net.bridge, 5301, "web"),
            names.opening(5301),
            firewall.transit(4, ["up0"]),
            firewall.transit(6, ["up0"]),
        )
    )


def test_nft_prints_the_tables_as_they_are_written(scratch: Scratch) -> None:
    """So that what observation reads can be compared with what a planner wants."""
    scratch.build(base(HOST))
    for table in base(HOST):
        assert isinstance(table, Table)
        assert scratch.run("host", f"nft --terse list table {table.family} weft") == table.body


def test_elements_of_every_set_load_and_are_listed_with_their_comment(scratch: Scratch) -> None:
    elements = [thing for thing in _everything() if isinstance(thing, Element)]
    tables = base(HOST)
    declared = {
        (table.family, line.split()[1])
        for table in tables
        if isinstance(table, Table)
        for line in table.body.splitlines()
        if line.startswith(("\tset", "\tmap"))
    }
    assert {(element.family, element.set) for element in elements} == declared
    scratch.build((*tables, *elements))
    listing = " ".join(scratch.run("host", "nft list ruleset").split())
    for element in elements:
        key = " . ".join(f'"{part}"' if _is_name(part) else str(part) for part in element.match)
        comment = f' comment "{element.comment}"' if element.comment else ""
        value = " : " + " . ".join(map(str, element.value)) if element.value else ""
        assert f"{key}{comment}{value}" in listing


def _is_name(part: str | int) -> bool:
    return str(part).startswith(("wv", "weft-", "up0"))


def test_elements_can_be_taken_away_one_by_one(scratch: Scratch) -> None:
    elements = tuple(thing for thing in _everything() if isinstance(thing, Element))
    scratch.build((*base(HOST), *elements))
    scratch.dismantle(elements)
    for table in base(HOST):
        assert isinstance(table, Table)
        assert scratch.run("host", f"nft list table {table.family} weft") == table.body


def test_the_described_table_command_is_one_that_a_person_can_read() -> None:
    (command, _) = describe(additions(base(HOST)))
    assert command.startswith("nft 'table bridge weft {\n\tset ports {")
