"""What holds for any networks and containers, not only for those that somebody thought of."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model.base import replace
from weft.model.container import Endpoint, Namespace
from weft.model.network import Network
from weft.model.ports import ExposedPort
from weft.model.settings import Settings
from weft.plan import firewall
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host
from weft.plan.objects import AnyObject, Element, Objects
from weft.plan.operations import additions, difference, removals
from weft.testing.fake import FakeKernel

from .records import HOST, endpoint, network, wiring
from .scratch import joined
from .village import host_objects


@dataclass(frozen=True)
class Attached:
    net: Network
    owner: str
    end: Endpoint


@dataclass(frozen=True)
class Case:
    """A host, its networks, what is attached to them, and links between neighbours."""

    host: Host
    networks: tuple[Network, ...]
    attached: tuple[Attached, ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    host = replace(
        HOST,
        settings=Settings(filter=draw(st.booleans()), ip_forward=draw(st.booleans())),
        facts=replace(
            HOST.facts, force_forwarding=draw(st.booleans()), firewalls=draw(st.sampled_from([(), ("ufw",)]))
        ),
    )
    networks = tuple(_network(draw, number) for number in range(draw(st.integers(0, 3))))
    attached = tuple(
        _attached(draw, net, place, number)
        for place, net in enumerate(networks)
        for number in range(draw(st.integers(0, 3)))
    )
    return Case(host, networks, attached)


def _network(draw: st.DrawFn, number: int) -> Network:
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    subnets = {4: f"172.{20 + number}.0.0/16", 6: f"fd00:{number}::/64"}
    return network(
        f"net{number}",
        [subnets[family] for family in families],
        internal=draw(st.booleans()),
        icc=draw(st.booleans()),
        masquerade=draw(st.booleans()),
    )


def _attached(draw: st.DrawFn, net: Network, place: int, number: int) -> Attached:
    owner = f"c{place}x{number}"
    host_port = 8000 + 100 * place + 10 * number
    forms = ("{0}:80", "{1}:81/udp", "127.0.0.1:{2}:82", "192.0.2.10:{3}:83/sctp", "[::1]:{4}:84")
    chosen = draw(st.sets(st.sampled_from(forms)))
    publish = [form.format(*range(host_port, host_port + 5)) for form in sorted(chosen)]
    return Attached(net, owner, endpoint(net, owner, 2 + number, publish=publish))


def _plan(case: Case, one: Attached) -> Objects:
    return registry("bridge").endpoint(wiring(one.net, one.end, one.owner, _place(one)), case.host)


def _place(one: Attached) -> Namespace:
    return Namespace(path=f"/run/netns/{one.owner}", inode=0)


def _links(case: Case) -> Objects:
    """Let everybody be linked to everybody on his network."""
    if not case.host.settings.filter:
        return ()
    pairs = [(a, b) for a in case.attached for b in case.attached if a.net == b.net and a != b]
    return joined(
        firewall.link(a.end, b.end, (ExposedPort(port=80),), f"link {a.owner} to {b.owner}") for a, b in pairs
    )


def _built(case: Case, objects: Objects) -> tuple[FakeKernel, Objects]:
    """Return a kernel that holds ``objects``, and these, in namespaces that exist."""
    kernel = FakeKernel(case.host.facts)
    spaces = {_place(one): kernel.create_namespace(_place(one).path) for one in case.attached}
    housed = tuple(_housed(thing, spaces) for thing in objects)
    kernel.apply(additions(housed))
    return kernel, housed


def _housed(thing: AnyObject, spaces: dict[Namespace, Namespace]) -> AnyObject:
    changes = {
        field: spaces[value]
        for field in ("ns", "peer_ns")
        if isinstance(value := getattr(thing, field, None), Namespace)
    }
    return replace(thing, **changes)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_what_was_built_is_what_was_wanted(case: Case) -> None:
    desired = joined(
        (host_objects(case.networks, case.host), *(_plan(case, one) for one in case.attached), _links(case))
    )
    kernel, housed = _built(case, desired)
    observed = kernel.observe(housed)
    inside = [thing for thing in housed if thing.where is not None]
    assert difference(housed, (*observed, *inside)) == ()


@given(cases())
@settings(max_examples=60, deadline=None)
def test_the_same_records_give_the_same_plan(case: Case) -> None:
    assert host_objects(case.networks, case.host) == host_objects(case.networks, case.host)
    for one in case.attached:
        assert _plan(case, one) == _plan(case, one)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_no_two_containers_claim_the_same_object(case: Case) -> None:
    parts = [host_objects(case.networks, case.host), *(_plan(case, one) for one in case.attached), _links(case)]
    keys = [thing.key for thing in joined(parts)]
    assert len(keys) == len(set(keys))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_detaching_leaves_exactly_what_was_there(case: Case, random: object) -> None:
    shared = host_objects(case.networks, case.host)
    parts = [_plan(case, one) for one in case.attached]
    kernel, housed = _built(case, joined((shared, *parts)))
    rest = {thing.key: thing for thing in housed}
    lengths = [len(part) for part in parts]
    starts = [len(shared) + sum(lengths[:number]) for number in range(len(parts))]
    order = list(range(len(parts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for number in order:
        mine = housed[starts[number] : starts[number] + lengths[number]]
        kernel.apply(removals(mine))
        for thing in mine:
            del rest[thing.key]
        assert {thing.key for thing in kernel.objects()} == {key for key in rest if key[0] != "sysctl"}


@given(cases())
@settings(max_examples=60, deadline=None)
def test_no_comment_is_longer_than_nftables_takes(case: Case) -> None:
    longest = "x" * 63
    for one in case.attached:
        for thing in registry("bridge").endpoint(wiring(one.net, one.end, longest), case.host):
            if isinstance(thing, Element):
                assert len(thing.comment) <= firewall.COMMENT_LENGTH
        for thing in firewall.link(one.end, one.end, (ExposedPort(port=1),), f"link {longest} to {longest}"):
            assert isinstance(thing, Element)
            assert len(thing.comment) <= firewall.COMMENT_LENGTH
