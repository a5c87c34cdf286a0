"""Which view a container has, which server it needs, and which names go into it: worked out from records alone."""

from __future__ import annotations

import pytest

from weft.model.base import replace
from weft.model.container import Address, Container, Endpoint
from weft.model.network import Network, Subnet
from weft.model.settings import Settings
from weft.plan import names
from weft.plan.names import View

SETTINGS = Settings()
RED = Network(
    id="red-id", name="red_net", bridge="br-red", subnets=(
        Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"), Subnet(cidr="fd01::/64", gateway="fd01::1"),
    ),
)  # fmt: skip
BLUE = Network(
    id="blue-id", name="blue_net", bridge="br-blue", subnets=(Subnet(cidr="10.2.0.0/24", gateway="10.2.0.1"),)
)
VAULT = replace(BLUE, id="vault-id", name="vault", internal=True)
CABLE = Network(id="cable-id", name="cable", driver="ptp")
WEB = Container(id="0123456789abcdef" * 4, name="web")


def _endpoint(network: Network, *aliases: str) -> Endpoint:
    addresses = tuple(
        Address(address=str(subnet.network[10]), prefixlen=subnet.prefixlen, gateway=subnet.gateway)
        for subnet in network.subnets
    )
    return Endpoint(id="e", network_id=network.id, container_id=WEB.id, addresses=addresses, aliases=aliases)


@pytest.mark.parametrize(
    ("own", "networks", "settings", "upstream"),
    [
        ((), [RED], SETTINGS, None),
        ((), [RED], Settings(dns=("9.9.9.9",)), ("9.9.9.9",)),
        ((), [replace(RED, dns=("8.8.8.8",))], Settings(dns=("9.9.9.9",)), ("8.8.8.8",)),
        (("1.1.1.1",), [replace(RED, dns=("8.8.8.8",))], Settings(dns=("9.9.9.9",)), ("1.1.1.1",)),
        ((), [RED, replace(BLUE, dns=("8.8.8.8",))], SETTINGS, ("8.8.8.8",)),
        ((), [VAULT], SETTINGS, ()),
        (("1.1.1.1",), [replace(VAULT, dns=("8.8.8.8",))], Settings(dns=("9.9.9.9",)), ()),
        ((), [VAULT, RED], SETTINGS, None),
        ((), [replace(VAULT, dns=("8.8.8.8",)), RED], SETTINGS, None),
    ],
    ids=[
        "host's",
        "settings",
        "network",
        "own",
        "second network",
        "internal",
        "internal with own",
        "mixed",
        "mixed dns",
    ],
)
def test_whom_other_names_are_asked_of(
    own: tuple[str, ...], networks: list[Network], settings: Settings, upstream: tuple[str, ...] | None
) -> None:
    view = names.view_of(replace(WEB, dns=own), networks, settings)
    assert view == View(networks=tuple(sorted(network.id for network in networks)), upstream=upstream)


def test_without_a_gateway_there_is_no_view() -> None:
    assert names.view_of(WEB, [], SETTINGS) is None
    assert names.view_of(WEB, [CABLE], SETTINGS) is None
    assert names.view_of(WEB, [CABLE, RED], SETTINGS) == names.standard_view(RED, SETTINGS)


def test_the_order_of_networks_does_not_make_another_view() -> None:
    assert names.view_of(WEB, [RED, BLUE], SETTINGS) == names.view_of(WEB, [BLUE, RED], SETTINGS)
    one, other = names.view_of(WEB, [RED], SETTINGS), names.view_of(WEB, [RED, BLUE], SETTINGS)
    assert one is not None
    assert other is not None
    assert one.key != other.key


def test_only_the_usual_view_of_one_network_is_at_port_53() -> None:
    assert names.name_server(names.standard_view(RED, SETTINGS), [RED], SETTINGS).standard
    for view, members in (
        (names.view_of(replace(WEB, dns=("1.1.1.1",)), [RED], SETTINGS), [RED]),
        (names.view_of(WEB, [RED, BLUE], SETTINGS), [RED, BLUE]),
    ):
        assert view is not None
        assert not names.name_server(view, members, SETTINGS).standard


def test_a_server_listens_on_the_gateways_of_all_its_networks() -> None:
    view = names.view_of(WEB, [RED, BLUE], SETTINGS)
    assert view is not None
    server = names.name_server(view, [RED, BLUE], SETTINGS)
    assert sorted(server.addresses) == ["10.1.0.1", "10.2.0.1", "fd01::1"]
    assert sorted(server.subnets) == ["10.1.0.0/24", "10.2.0.0/24", "fd01::/64"]
    assert sorted(server.zones) == ["blue_net", "red_net"]


def test_names_of_an_endpoint() -> None:
    entry = names.host_entry(replace(WEB, hostname="www"), _endpoint(RED, "front"), RED)
    expected = "web.red_net web front www 0123456789ab front.red_net www.red_net 0123456789ab.red_net"
    assert entry.lines == (f"10.1.0.10 {expected}", f"fd01::a {expected}")
    assert entry.outside == ()


def test_a_name_is_told_once_whatever_its_case() -> None:
    entry = names.host_entry(replace(WEB, hostname="WEB"), _endpoint(BLUE, "Web", "x"), BLUE)
    assert entry.lines == ("10.2.0.10 web.blue_net web x 0123456789ab x.blue_net 0123456789ab.blue_net",)


@pytest.mark.parametrize("alias", ["localhost", "LocalHost", "a.localhost", "a..b", "a-.b", "x" * 63 + "." + "y" * 300])
def test_names_that_cannot_or_must_not_be_in_dns_are_left_out(alias: str) -> None:
    entry = names.host_entry(WEB, _endpoint(BLUE, alias), BLUE)
    assert alias not in entry.lines[0].split()
    assert "web.blue_net" in entry.lines[0].split()


@pytest.mark.parametrize("name", ["dev", "Dev", "de", "example.com", "a..b"])
def test_networks_called_like_public_domains_do_not_own_them(name: str) -> None:
    network = replace(BLUE, name=name)
    assert names.own_zone(network) is None
    entry = names.host_entry(WEB, _endpoint(network), network)
    assert all(outside.lower().endswith(name.lower()) for outside in entry.outside)


def test_dotted_aliases_are_outside_the_networks_zone() -> None:
    entry = names.host_entry(WEB, _endpoint(BLUE, "api.example.com", "a.blue_net"), BLUE)
    assert entry.outside == ("api.example.com",)
    assert "api.example.com.blue_net" in entry.lines[0]


def test_queries_are_led_to_another_port_only_where_there_is_one() -> None:
    endpoint = _endpoint(RED)
    assert names.redirect(endpoint, RED.bridge, 53) == names.opening(53) == ()
    four, six = names.redirect(endpoint, RED.bridge, 5301, "web")
    assert (four.set, four.match, four.value) == ("resolver4", ("br-red", "10.1.0.10"), (5301,))  # type: ignore[union-attr]
    assert (six.set, six.match, six.value) == ("resolver6", ("br-red", "fd01::a"), (5301,))  # type: ignore[union-attr]
