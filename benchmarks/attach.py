"""N1: attaching one endpoint in the kernel, beside a hand-written sequence of pyroute2 calls that does the same.

    python -m benchmarks.attach [--count 300] [--json]

Both sides attach to bridges on one host (a network namespace of its own) in turn, A B A B …, each time with a
container that is new.  Left out of the timing: making the containers' namespaces, and taking the endpoint away again.
The hand-written side is what a careful programmer writes with pyroute2 and libnftables: one call for each thing, no
look-ups, no checks, and nothing undone when a call fails.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from pyroute2 import IPRoute

from benchmarks import harness
from weft.kernel import namespaces
from weft.kernel.linux import LinuxKernel
from weft.model.container import Address, Endpoint, Namespace
from weft.model.identity import bridge_name, mac_from_address, new_id, port_name
from weft.model.network import Network, Subnet
from weft.model.ports import PublishedPort
from weft.model.settings import Settings
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host, Wiring
from weft.plan.facts import HostFacts
from weft.plan.firewall import tables
from weft.plan.objects import Element, Objects
from weft.plan.operations import additions, removals

_HOST = Host(settings=Settings(), facts=HostFacts(mtus={"up0": 1500}))
_SUBNET = ip_network("10.77.0.0/16")
#: Rounds that do not count: what is made at first use is made in them.
_WARM_UP = 5


# --- what is attached -------------------------------------------------------------------------------------------


def _network() -> Network:
    ident = new_id()
    subnet = Subnet(cidr=str(_SUBNET), gateway=str(_SUBNET[1]))
    return Network(id=ident, name="bench", subnets=(subnet,), bridge=bridge_name(ident), mtu=1500)


def _wiring(network: Network, namespace: Namespace, number: int) -> Wiring:
    ident = new_id()
    address = Address(address=str(_SUBNET[2 + number]), prefixlen=_SUBNET.prefixlen, gateway=str(_SUBNET[1]))
    endpoint = Endpoint(
        id=ident,
        network_id=network.id,
        container_id=new_id(),
        port=port_name(ident),
        mac=mac_from_address(address.address),
        addresses=(address,),
        gateway=True,
        ports=(PublishedPort(host_ip="0.0.0.0", host_port=10000 + number, container_port=80, protocol="tcp"),),
    )
    return Wiring(network=network, endpoint=endpoint, namespace=namespace, owner=f"c{number}")


# --- by hand ----------------------------------------------------------------------------------------------------


class ByHand:
    """pyroute2's blocking calls, libnftables with a hand-made JSON text, sysctls by files."""

    def __init__(self, bridge: str) -> None:
        self._ip = IPRoute()
        self._bridge = self._ip.link_lookup(ifname=bridge)[0]
        self._library = ctypes.CDLL("libnftables.so.1")
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._nft = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_output_set_flags(self._nft, 1 << 4)

    def attach(self, wiring: Wiring, elements: list[Element]) -> None:
        endpoint = wiring.endpoint
        self._filter(elements)
        inside = os.open(wiring.namespace.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            peer = {"ifname": endpoint.interface, "address": endpoint.mac, "mtu": 1500, "net_ns_fd": inside}
            self._ip.link("add", ifname=endpoint.port, kind="veth", mtu=1500, master=self._bridge, peer=peer)
            _write(f"net/ipv6/conf/{endpoint.port}/disable_ipv6", "1")
            alias = f"weft:endpoint:{endpoint.id}"
            self._ip.link("set", index=socket.if_nametoindex(endpoint.port), ifalias=alias, state="up")
            namespaces.in_namespace(inside, lambda: self._configure(endpoint))
        finally:
            os.close(inside)

    def _configure(self, endpoint: Endpoint) -> None:
        _write(f"net/ipv4/conf/{endpoint.interface}/arp_notify", "1")
        _write(f"net/ipv6/conf/{endpoint.interface}/disable_ipv6", "1")
        (address,) = endpoint.addresses
        index = socket.if_nametoindex(endpoint.interface)
        with IPRoute() as inside:
            inside.addr("add", index=index, address=address.address, prefixlen=address.prefixlen)
            inside.link("set", index=index, state="up")
            inside.link("set", index=index, address=endpoint.mac)
            inside.route("add", dst="0.0.0.0/0", gateway=address.gateway, proto=119)

    def _filter(self, elements: list[Element]) -> None:
        commands = [{"add": {"element": _element(element)}} for element in elements]
        text = json.dumps({"nftables": commands}).encode()
        if self._library.nft_run_cmd_from_buffer(self._nft, text) != 0:
            raise SystemExit("nftables refused the hand-made elements")

    def close(self) -> None:
        self._ip.close()
        self._library.nft_ctx_free(self._nft)


def _element(element: Element) -> dict[str, object]:
    def joined(parts: tuple[str | int, ...]) -> object:
        return parts[0] if len(parts) == 1 else {"concat": list(parts)}

    key = {"elem": {"val": joined(element.match), "comment": element.comment}}
    return {
        "family": element.family,
        "table": "weft",
        "name": element.set,
        "elem": [[key, joined(element.value)] if element.value else key],
    }


def _write(path: str, value: str) -> None:
    with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
        file.write(value)


# --- measuring --------------------------------------------------------------------------------------------------


def measure(count: int) -> dict[str, object]:
    """Attach ``count`` times on each side, in turn; return medians, 99th percentiles (ms) and the ratio."""
    kernel = LinuxKernel()
    network = _network()
    kernel.apply(additions((*tables(), *registry("bridge").network(network, _HOST))))
    hand = ByHand(network.bridge)
    times: dict[str, list[float]] = {"weft": [], "by hand": []}
    left: list[Namespace] = []
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        try:
            for number in range(-_WARM_UP, count):
                for side in sorted(times, reverse=number % 2 == 0):
                    left.append(kernel.create_namespace(str(Path(folder, f"{side[0]}{number}"))))
                    wiring = _wiring(network, left[-1], number + _WARM_UP)
                    objects = registry("bridge").endpoint(wiring, _HOST)
                    took = _timed(_side(side, kernel, hand, wiring, objects))
                    kernel.withdraw(removals(objects))
                    if number >= 0:
                        times[side].append(took * 1000)
        finally:
            # Not before: the kernel clears namespaces away in the background, holding the lock that all changes need.
            for namespace in left:
                kernel.remove_namespace(namespace)
    hand.close()
    kernel.close()
    return _summary(times)


def _side(side: str, kernel: LinuxKernel, hand: ByHand, wiring: Wiring, objects: Objects) -> Callable[[], None]:
    if side == "weft":
        return lambda: kernel.apply(additions(objects))
    elements = [thing for thing in objects if isinstance(thing, Element)]
    return lambda: hand.attach(wiring, elements)


def _timed(work: Callable[[], None]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _summary(times: dict[str, list[float]]) -> dict[str, object]:
    sides = {
        side: {
            "median_ms": round(statistics.median(values), 3),
            "p99_ms": round(statistics.quantiles(values, n=100)[98], 3),
            "spread_ms": [round(edge, 3) for edge in statistics.quantiles(values, n=4)[::2]],
        }
        for side, values in times.items()
    }
    ratio = statistics.median(times["weft"]) / statistics.median(times["by hand"])
    return {"count": len(times["weft"]), **sides, "ratio": round(ratio, 3)}


def measure_apart(count: int) -> harness.Result:
    """Measure in a namespace where nobody is disturbed."""
    return namespaces.in_new_namespace(lambda: measure(count))


if __name__ == "__main__":
    harness.main("N1: attach in the kernel, beside hand-written pyroute2", measure_apart, count=300)
