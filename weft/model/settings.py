"""The host-wide settings, ``weft.toml``.

Every option has the default given here; an unknown one is an error that names it.
"""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path

import msgspec

from weft.model.base import Record
from weft.model.errors import InvalidInput, InvalidOption
from weft.model.names import check_hostname, check_interface
from weft.model.network import parse_address, parse_network


class BridgeSettings(Record):
    """The default network ``bridge``: its interface and the host's address in it."""

    name: str = "weft0"
    #: Address with prefix length, '172.17.51.1/24'; '' picks a free subnet from the pools.
    address: str = ""
    address6: str = ""


class PortSettings(Record):
    """Published ports."""

    #: Where a port is bound when its specification names no address: '' is every address of the host.
    bind: str = ""
    #: First and last host port that is given to a port published without one.
    range: tuple[int, int] = (49000, 49900)
    #: 'dynamic' and 'fixed': what ``-p 80`` and ``-P`` do without a host port.  'fixed' takes the container's
    #: own port number on the host and fails if it is taken.
    policy: str = "dynamic"


class Settings(Record):
    """``weft.toml`` as a record."""

    bridge: BridgeSettings = BridgeSettings()
    ports: PortSettings = PortSettings()
    #: Whether containers of the default network, and of networks that do not say, reach each other.
    icc: bool = True
    #: Whether weft may turn forwarding on.  When False, and it is off, weft says what does not work.
    ip_forward: bool = True
    #: Whether weft keeps its nftables tables.  When False nothing is isolated, translated or published.
    filter: bool = True
    #: Whether containers' outbound traffic takes the host's address, for networks that do not say.
    masquerade: bool = True
    #: MTU of networks that do not say; None: that of the interface of the default route.
    mtu: int | None = None
    #: Upstream name servers and search domains for containers that do not say; empty: the host's.
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    #: Subnets for networks that name none are cut from these: [pool, prefix length of each cut].
    pools: tuple[tuple[str, int], ...] = (
        ("172.17.0.0/16", 16),
        ("172.18.0.0/15", 16),
        ("172.20.0.0/14", 16),
        ("172.24.0.0/13", 16),
        ("192.168.0.0/16", 20),
        ("10.128.0.0/9", 20),
    )
    #: Pairs of addresses for cables that name none are cut from these.
    cable_pools: tuple[tuple[str, int], ...] = (("10.255.0.0/16", 31),)
    pools6: tuple[tuple[str, int], ...] = (("fd77:6566:7400::/40", 64),)

    def __post_init__(self) -> None:
        check_interface(self.bridge.name, "bridge.name")
        low, high = self.ports.range
        if not 1 <= low <= high <= 65535:
            raise InvalidOption(f"ports.range [{low}, {high}] is not a range of ports")
        if self.ports.policy not in ("dynamic", "fixed"):
            raise InvalidOption(f"ports.policy {self.ports.policy!r} is neither 'dynamic' nor 'fixed'")
        for address in (*self.dns, *filter(None, [self.ports.bind])):
            parse_address(address)
        _check_interface_address(self.bridge.address, 4, "bridge.address")
        _check_interface_address(self.bridge.address6, 6, "bridge.address6")
        for domain in self.dns_search:
            if domain != ".":  # which means none
                check_hostname(domain, "dns_search")
        if self.mtu is not None and not 1280 <= self.mtu <= 65535:
            raise InvalidOption(f"mtu {self.mtu} is not between 1280 and 65535")
        for pool, length in (*self.pools, *self.pools6):
            network = parse_network(pool)
            if not network.prefixlen <= length <= network.max_prefixlen - 2:
                raise InvalidOption(f"pool {pool} cannot be cut into subnets of length {length}")


def _check_interface_address(text: str, version: int, option: str) -> None:
    """Raise InvalidOption unless ``text`` is '' or an address of the IP version with its prefix length."""
    if not text:
        return
    try:
        sound = "/" in text and ipaddress.ip_interface(text).version == version
    except ValueError:
        sound = False
    if not sound:
        raise InvalidOption(f"{option} {text!r} is not an IPv{version} address with its prefix length")


def load_settings(path: Path | None) -> Settings:
    """Read ``weft.toml``; a missing path gives the defaults.  Raises InvalidOption naming file and field."""
    if path is None:
        return Settings()
    try:
        data = tomllib.loads(path.read_text())
        return msgspec.convert(data, Settings)
    except OSError as error:
        raise InvalidOption(f"cannot read {path}: {error.strerror}") from error
    except InvalidInput as error:
        raise InvalidOption(f"{path}: {error.cause}", error.hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InvalidOption(f"{path}: {error}") from error
