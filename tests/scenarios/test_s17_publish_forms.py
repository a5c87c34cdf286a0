"""Every form of -p, what 'weft port' lists of it, and what is refused."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from weft.testing.hosts import Host, Outside
from weft.testing.spaces import Space

from .refusals import refusal

#: Addresses of the host, two of each version.
FIRST, SECOND = ("192.0.2.1", "2001:db8:1::1"), ("192.0.2.101", "2001:db8:1::101")
_NUMBERS = itertools.count()
Publish = Callable[..., Space]


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    """A host with a second address of each version, and networks with both versions and with IPv4 only."""
    host.ip("address add 192.0.2.101/24 dev eth0", "address add 2001:db8:1::101/64 dev eth0 nodad")
    host.weft("network", "create", "app", "--ipv6")
    host.weft("network", "create", "four")
    host.weft("network", "create", "inside", "--internal")
    return host


@pytest.fixture
def publish(host: Host) -> Iterator[Publish]:
    """Attaches a container with the given -p; TCP and UDP answer with 'tcp' or 'udp' and the port they came to."""

    def attach(*specs: str, net: str = "app", tcp: tuple[int, ...] = (80,), udp: tuple[int, ...] = ()) -> Space:
        box = host.container(f"box{next(_NUMBERS)}")
        words = [word for spec in specs for word in ("-p", spec)]
        host.weft("attach", "--netns", box.path, "--name", "web", "--net", net, *words)
        for port in tcp:
            box.serve_tcp(port, f"tcp {port}".encode())
        for port in udp:
            box.serve_udp(port, f"udp {port}".encode())
        return box

    yield attach
    host.weft("detach", "web", check=False)


def _port(host: Host, *words: str) -> list[str]:
    return host.weft("port", "web", *words).stdout.splitlines()


def _data(eve: Space, address: str, port: int) -> str:
    return eve.connect(address, port, timeout=0.5).text


# --- the forms ------------------------------------------------------------------------------------------------------


def test_host_port_and_container_port(host: Host, eve: Outside, publish: Publish) -> None:
    publish("8080:80")
    assert _port(host) == ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
    for address in FIRST + SECOND:
        assert _data(eve, address, 8080) == "tcp 80"
    for address in ("127.0.0.1", *FIRST):
        assert _data(host, address, 8080) == "tcp 80"


def test_address_host_port_and_container_port(host: Host, eve: Outside, publish: Publish) -> None:
    publish("192.0.2.101:8080:80", "[2001:db8:1::101]:8080:80")
    assert _port(host) == ["80/tcp -> 192.0.2.101:8080", "80/tcp -> [2001:db8:1::101]:8080"]
    for address in SECOND:
        assert _data(eve, address, 8080) == "tcp 80"
    for address in FIRST:
        assert eve.connect(address, 8080).outcome == "refused"


def test_address_and_container_port(host: Host, eve: Outside, publish: Publish) -> None:
    publish("192.0.2.101::80", "[2001:db8:1::101]::80")
    (four, six) = (line.removeprefix("80/tcp -> ") for line in _port(host))
    assert four.startswith("192.0.2.101:") and six.startswith("[2001:db8:1::101]:")
    for listed, address in ((four, SECOND[0]), (six, SECOND[1])):
        port = int(listed.rpartition(":")[2])
        assert 49000 <= port <= 49900
        assert _data(eve, address, port) == "tcp 80"


def test_container_port_alone(host: Host, eve: Outside, publish: Publish) -> None:
    publish("80")
    four, six = _port(host, "80")
    port = int(four.removeprefix("0.0.0.0:"))
    assert 49000 <= port <= 49900 and six == f"[::]:{port}"
    for address in FIRST:
        assert _data(eve, address, port) == "tcp 80"


def test_udp(host: Host, eve: Outside, publish: Publish) -> None:
    """The same port may be published in both protocols, to different ports."""
    publish("8053:53/udp", "8053:5353/TCP", tcp=(5353,), udp=(53,))
    assert _port(host) == [
        "53/udp -> 0.0.0.0:8053", "53/udp -> [::]:8053", "5353/tcp -> 0.0.0.0:8053", "5353/tcp -> [::]:8053",
    ]  # fmt: skip
    for address in FIRST:
        assert eve.send_udp(address, 8053).data == b"udp 53"
        assert _data(eve, address, 8053) == "tcp 5353"


def test_sctp(host: Host, eve: Outside, publish: Publish) -> None:
    """Seen by raw sockets, which every kernel has: the translation needs no more of SCTP than the kernel's NAT does."""
    box = publish("8132:132/sctp")
    assert _port(host) == ["132/sctp -> 0.0.0.0:8132", "132/sctp -> [::]:8132"]
    for version, family in enumerate((socket.AF_INET, socket.AF_INET6)):
        raw = partial(socket.socket, family, socket.SOCK_RAW, socket.IPPROTO_SCTP)
        with box.call(raw) as receiver, eve.call(raw) as sender:
            receiver.settimeout(2.0)
            sender.sendto(_sctp_init(5000, 8132), (FIRST[version], 0))
            data, (client, *_) = receiver.recvfrom(2048)
        header = data[20:] if version == 0 else data  # a raw IPv4 socket delivers the IP header too
        assert struct.unpack("!HH", header[:4]) == (5000, 132)
        assert client == (eve.address, eve.address6)[version]


def _sctp_init(source: int, target: int) -> bytes:
    """Return an association's first packet (RFC 9260, sections 3.1 and 3.3.2), its checksum being CRC-32C."""
    ports = struct.pack("!HHI", source, target, 0)
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x77656674, 65535, 1, 1, 1)
    checksum = 0xFFFFFFFF
    for byte in ports + bytes(4) + chunk:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0x82F63B78 if checksum & 1 else 0)
    return ports + struct.pack("<I", checksum ^ 0xFFFFFFFF) + chunk


def test_ranges(host: Host, eve: Outside, publish: Publish) -> None:
    publish("7000-7010:7000-7010", "7100-7102:80-82/udp", tcp=tuple(range(7000, 7011)), udp=(80, 81, 82))
    assert len(_port(host)) == 2 * (11 + 3)
    for port in range(7000, 7011):
        assert _data(eve, FIRST[0], port) == _data(eve, FIRST[1], port) == f"tcp {port}"
    for number in range(3):
        assert eve.send_udp(FIRST[0], 7100 + number).text == f"udp {80 + number}"
    assert eve.connect(FIRST[0], 7011).outcome == "refused"


def test_a_range_without_host_ports(host: Host, eve: Outside, publish: Publish) -> None:
    publish("80-82", tcp=(80, 81, 82))
    for inside in (80, 81, 82):
        port = int(_port(host, str(inside))[0].rpartition(":")[2])
        assert _data(eve, FIRST[0], port) == f"tcp {inside}"


def test_several(host: Host, eve: Outside, publish: Publish) -> None:
    """Two ports of the host may lead to the same one of the container."""
    publish("8080:80", "8081:80", "9090:90", tcp=(80, 90))
    assert _port(host, "80/tcp") == ["0.0.0.0:8080", "[::]:8080", "0.0.0.0:8081", "[::]:8081"]
    assert [_data(eve, FIRST[0], port) for port in (8080, 8081, 9090)] == ["tcp 80", "tcp 80", "tcp 90"]


def test_loopback_addresses(host: Host, eve: Outside, publish: Publish) -> None:
    publish("[::1]:80:80", "127.0.0.1:80:80", "[::1]:8053:53/udp", udp=(53,))
    assert _port(host) == ["80/tcp -> [::1]:80", "80/tcp -> 127.0.0.1:80", "53/udp -> [::1]:8053"]
    assert _data(host, "::1", 80) == _data(host, "127.0.0.1", 80) == "tcp 80"
    assert host.send_udp("::1", 8053).data == b"udp 53"
    for address in FIRST:
        assert eve.connect(address, 80).outcome == "refused"


def test_one_port_on_two_addresses_for_two_containers(host: Host, eve: Outside, publish: Publish) -> None:
    publish("192.0.2.1:8080:80")
    other = host.container(f"box{next(_NUMBERS)}")
    host.weft("attach", "--netns", other.path, "--name", "other", "--net", "app", "-p", "192.0.2.101:8080:81")
    other.serve_tcp(81, b"other")
    assert (_data(eve, "192.0.2.1", 8080), _data(eve, "192.0.2.101", 8080)) == ("tcp 80", "other")
    host.weft("detach", "other")


def test_on_a_network_without_ipv6(host: Host, eve: Outside, publish: Publish) -> None:
    publish("8080:80", net="four")
    assert _port(host) == ["80/tcp -> 0.0.0.0:8080"]
    assert _data(eve, FIRST[0], 8080) == "tcp 80"
    assert eve.connect(FIRST[1], 8080).outcome == "refused"


def test_asking_for_one_port(host: Host, publish: Publish) -> None:
    publish("8080:80", "8053:53/udp")
    assert _port(host, "80") == _port(host, "80/tcp") == ["0.0.0.0:8080", "[::]:8080"]
    assert _port(host, "53/udp") == ["0.0.0.0:8053", "[::]:8053"]
    assert "publishes no port 53/tcp" in refusal(host, "port", "web", "53")
    assert "no container 'nobody'" in refusal(host, "port", "nobody")


def test_the_same_after_a_restart_of_the_agent(host: Host, eve: Outside, publish: Publish) -> None:
    publish("8080:80", "80")
    before = _port(host)
    host.restart_agent(kill=True)
    assert _port(host) == before
    assert _data(eve, FIRST[0], 8080) == "tcp 80"
    with pytest.raises(OSError, match="Address already in use"):  # it is held as before
        host.serve_tcp(8080)


# --- refusals -------------------------------------------------------------------------------------------------------


def _refused(host: Host, *specs: str, net: str = "app") -> str:
    words = [word for spec in specs for word in ("-p", spec)]
    return refusal(host, "run", "-d", "--name", "refused", "--net", net, *words, "--", "sleep", "1000")


def test_a_port_of_a_process_is_refused(host: Host) -> None:
    """Whatever address and IP version the process has it by."""
    with closing(host.serve_tcp(8180)):
        assert "port 0.0.0.0:8180/tcp is in use by a process of this host" in _refused(host, "8180:80")
    with closing(host.serve_tcp(8180, address="127.0.0.1")):
        assert "in use" in _refused(host, "8180:80")
    with closing(host.serve_tcp(8180, address=FIRST[1])):
        assert "port [::]:8180/tcp is in use" in _refused(host, "8180:80")
    with closing(host.serve_udp(8180)):
        assert "port 0.0.0.0:8180/udp is in use" in _refused(host, "8180:80/udp")


def test_a_published_port_is_refused_with_its_owner(host: Host, publish: Publish) -> None:
    publish("8080:80", "127.0.0.1:8081:80", "[::1]:8082:80")
    assert "port 0.0.0.0:8080/tcp is published by 'web'" in _refused(host, "8080:80")
    assert "published by 'web'" in _refused(host, "192.0.2.1:8080:80")
    assert "published by 'web'" in _refused(host, "8081:80")
    assert "published by 'web'" in _refused(host, "[::1]:8082:80")
    assert "published by" in _refused(host, "8083:80", "8083:81")


def test_when_the_last_of_several_is_refused_the_others_are_given_back(host: Host, publish: Publish) -> None:
    publish("8080:80")
    assert "published by 'web'" in _refused(host, "8070-8080:70-80", "8090:90/udp")
    host.weft("detach", "web")
    publish("8070-8080:70-80", "8090:90/udp")


def test_an_address_that_the_host_does_not_have_is_refused(host: Host) -> None:
    assert "this host has no address 192.0.2.99" in _refused(host, "192.0.2.99:8080:80")
    assert "this host has no address 2001:db8:1::99" in _refused(host, "[2001:db8:1::99]:8080:80")
    assert "this host has no address 192.0.2.99" in _refused(host, "192.0.2.99::80")


@pytest.mark.parametrize(
    "spec",
    [
        "", ":", "::", "80:", ":80", "http", "0", "65536", "80:0", "65536:80", "-1", "+80", "8 0", "80/", "80/icmp",
        "80-70", "80-", "-80", "8080-8081:80", "80:80:80:80", "1.2.3:80:80", "1.2.3.4:80", "2001:db8::1:80:80",
        "[2001:db8::1]", "[2001:db8::1]80", "[192.0.2.1]:80:80", "[::1:80:80", "eth0:80:80", "80;reboot", "٨٠",
    ],
)  # fmt: skip
def test_a_bad_form_is_refused(host: Host, spec: str) -> None:
    done = host.weft("run", "-d", "--net", "app", f"--publish={spec}", "--", "sleep", "1000", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("weft: port ") and "hint: Forms: 80, 8080:80" in done.stderr
    assert spec in done.stderr


def test_bad_forms_leave_nothing(host: Host) -> None:
    _refused(host, "8080:80", "8081:")


def test_what_the_network_cannot_publish_is_refused(host: Host) -> None:
    assert "has no IPv6" in _refused(host, "[2001:db8:1::101]:8080:80", net="four")
    assert "reaches outside" in _refused(host, "8080:80", net="inside")
    assert "132/sctp cannot be published on ::1" in _refused(host, "[::1]:8132:132/sctp")
