"""A port published on [::1] reaches the container, though the kernel will not translate that address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from weft.agent.relays import relayudp
from weft.agent.relays.relay import Forward, Relay
from weft.model.errors import NotFound, PortInUse, Unsupported

from .lab import Lab, Member, eventually

PORT = 8080


@pytest.fixture
def container(lab: Lab) -> Member:
    network = lab.network("shop_net", "10.91.1", "fd91:1")
    return lab.container("web", (network, 10))


@pytest.fixture
def relay(lab: Lab) -> Iterator[Relay]:
    made = lab.host.call(lambda: Relay(limit=20))
    yield made
    made.close()


def _serve_tcp(member: Member, handle: Callable[[socket.socket], None], address: str = "fd91:1::a") -> socket.socket:
    """Serve each connection in a thread of its own, until the listener is closed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = member.node.call(lambda: socket.create_server((address, PORT), family=family, backlog=100))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_served, args=(connection,), daemon=True).start()

    def _served(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            handle(connection)

    threading.Thread(target=accept, daemon=True).start()
    return listener


def _echo(connection: socket.socket) -> None:
    while octets := connection.recv(65536):
        connection.sendall(octets)


def _forward(target: str = "fd91:1::a", protocol: str = "tcp", port: int = 3333) -> Forward:
    return Forward(protocol=protocol, address="::1", port=port, target=target, target_port=PORT)  # type: ignore[arg-type]


def _add(lab: Lab, relay: Relay, forward: Forward) -> None:
    lab.host.call(lambda: relay.add(forward))


def _connect(lab: Lab, port: int = 3333) -> socket.socket:
    return lab.host.call(lambda: socket.create_connection(("::1", port), timeout=5))


def _receive_all(handle: socket.socket) -> bytes:
    octets = b""
    while piece := handle.recv(65536):
        octets += piece
    return octets


@pytest.mark.parametrize("target", ["fd91:1::a", "10.91.1.10"])
def test_octets_arrive_and_come_back(lab: Lab, container: Member, relay: Relay, target: str) -> None:
    _serve_tcp(container, _echo, target)
    _add(lab, relay, _forward(target))
    with _connect(lab) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_each_direction_is_closed_by_itself(lab: Lab, container: Member, relay: Relay) -> None:
    """As with 'echo request | nc': the answer comes after the end of the request."""

    def count(connection: socket.socket) -> None:
        connection.sendall(str(len(_receive_all(connection))).encode())

    _serve_tcp(container, count)
    _add(lab, relay, _forward())
    with _connect(lab) as client:
        client.sendall(b"x" * 3_000_000)
        client.shutdown(socket.SHUT_WR)
        assert _receive_all(client) == b"3000000"


def test_much_passes_in_both_directions_at_once(lab: Lab, container: Member, relay: Relay) -> None:
    _serve_tcp(container, _echo)
    _add(lab, relay, _forward())
    sent = bytes(range(256)) * 40_000
    with _connect(lab) as client:

        def send() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert _receive_all(client) == sent
        sender.join()


def test_a_slow_reader_holds_up_its_sender_and_nobody_else(lab: Lab, container: Member, relay: Relay) -> None:
    def pour(connection: socket.socket) -> None:
        if connection.recv(1) == b"p":
            connection.sendall(b"x" * 50_000_000)
        else:
            connection.sendall(b"quick")

    _serve_tcp(container, pour)
    _add(lab, relay, _forward())
    with _connect(lab) as slow, _connect(lab) as quick:
        slow.sendall(b"p")
        time.sleep(0.3)
        quick.sendall(b"q")
        assert quick.recv(5) == b"quick"
        assert len(_receive_all(slow)) == 50_000_000


def test_a_refusal_of_the_container_ends_the_connection(lab: Lab, container: Member, relay: Relay) -> None:
    _add(lab, relay, _forward())
    with _connect(lab) as client, suppress(ConnectionResetError):
        assert client.recv(1) == b""
    _serve_tcp(container, _echo)
    with _connect(lab) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def test_no_more_connections_than_the_limit_and_the_next_when_one_ends(
    lab: Lab, container: Member, relay: Relay
) -> None:
    served: list[int] = []

    def note(connection: socket.socket) -> None:
        served.append(1)
        _echo(connection)

    _serve_tcp(container, note)
    _add(lab, relay, _forward())
    clients = [_connect(lab) for _ in range(25)]  # the kernel's queue takes them all
    assert eventually(lambda: len(served) == 20)
    time.sleep(0.2)
    assert len(served) == 20
    for client in clients[:5]:
        client.close()
    assert eventually(lambda: len(served) == 25)
    clients[-1].sendall(b"late")
    assert clients[-1].recv(100) == b"late"
    for client in clients:
        client.close()


def test_datagrams_arrive_and_answers_find_their_client(lab: Lab, container: Member, relay: Relay) -> None:
    server = container.node.call(lambda: _udp_server("fd91:1::a"))
    _add(lab, relay, _forward(protocol="udp"))
    clients = [lab.host.call(_udp_client) for _ in range(15)]
    for number, client in enumerate(clients):
        client.send(f"number {number}".encode())
    for number, client in enumerate(clients):
        assert client.recv(100) == f"number {number}".encode()
    server.close()


def test_silent_udp_clients_make_room_for_new_ones(lab: Lab, container: Member, relay: Relay) -> None:
    server = container.node.call(lambda: _udp_server("fd91:1::a"))
    _add(lab, relay, _forward(protocol="udp"))
    for number in range(60):  # three times the limit
        client = lab.host.call(_udp_client)
        client.send(f"number {number}".encode())
        assert client.recv(100) == f"number {number}".encode()
    server.close()


def test_udp_clients_are_forgotten_after_a_while(
    lab: Lab, container: Member, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayudp, "IDLE", 0.1)
    sources: list[tuple[str, int]] = []
    server = container.node.call(lambda: _udp_server("fd91:1::a", sources))
    _add(lab, relay, _forward(protocol="udp"))
    client = lab.host.call(_udp_client)
    client.send(b"one")
    assert client.recv(100) == b"one"
    time.sleep(2.5)  # forgotten clients are swept out every second
    client.send(b"two")
    assert client.recv(100) == b"two"
    assert sources[0] != sources[1]
    server.close()


def test_a_removed_port_is_closed_and_can_be_relayed_again(lab: Lab, container: Member, relay: Relay) -> None:
    _serve_tcp(container, _echo)
    _add(lab, relay, _forward())
    client = _connect(lab)
    relay.remove(_forward())
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        _connect(lab)
    with pytest.raises(NotFound):
        relay.remove(_forward())
    _add(lab, relay, _forward())
    with _connect(lab) as again:
        again.sendall(b"back")
        assert again.recv(100) == b"back"


def test_a_port_changes_over_to_another_target(lab: Lab, container: Member, relay: Relay) -> None:
    _serve_tcp(container, _echo)
    _add(lab, relay, _forward("10.91.1.10"))
    _add(lab, relay, _forward())
    assert relay.forwards() == (_forward(),)
    with _connect(lab) as client:
        client.sendall(b"there")
        assert client.recv(100) == b"there"


def test_adding_the_same_port_again_keeps_its_connections(lab: Lab, container: Member, relay: Relay) -> None:
    _serve_tcp(container, _echo)
    _add(lab, relay, _forward())
    with _connect(lab) as client:
        _add(lab, relay, _forward())
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"


def test_a_port_in_use_or_an_address_that_is_not_there_is_refused(lab: Lab, relay: Relay) -> None:
    taken = lab.host.call(lambda: socket.create_server(("::1", 3333), family=socket.AF_INET6))
    with pytest.raises(PortInUse):
        _add(lab, relay, _forward())
    taken.close()
    with pytest.raises(Unsupported):
        _add(lab, relay, Forward(protocol="tcp", address="fd99::1", port=1, target="::1", target_port=1))
    assert relay.forwards() == ()


def _udp_server(address: str, sources: list[tuple[str, int]] | None = None) -> socket.socket:
    """Return a socket from which a thread sends everything back, until it is closed."""
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind((address, PORT))

    def serve() -> None:
        with suppress(OSError):
            while True:
                datagram, source = server.recvfrom(65536)
                if sources is not None:
                    sources.append(source[:2])
                server.sendto(datagram, source)

    threading.Thread(target=serve, daemon=True).start()
    return server


def _udp_client() -> socket.socket:
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect(("::1", 3333))
    return client
