"""N6: new connections a second through a published port, with one port published and with ten thousand.

    python -m benchmarks.ports [--rounds 7] [--seconds 2] [--ports 10000] [--json]

Beside weft stands the chain that Docker and the CNI plugin portmap make with iptables: one rule for each port.  The
client is on the wire and each side is a host of its own, so all of them are there at the same time and are measured in
turn.  One client process connects, waits for the end, and connects again; one server process accepts and closes.
"""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.harness import Result, interleave, main, summary
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

#: The first published port and the one that is connected to, which is in the middle of them.
_FIRST = 10000

_SERVER = """
import socket, sys
listener = socket.create_server(("", int(sys.argv[1])), backlog=4096)
print("ready", flush=True)
while True:
    listener.accept()[0].close()
"""

_CLIENT = """
import socket, struct, sys, time
address, seconds = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3])
linger = struct.pack("ii", 1, 0)  # closes at once: no port waits to be used again
end, count = time.monotonic() + seconds, 0
while time.monotonic() < end:
    with socket.socket() as sock:
        sock.settimeout(1)
        sock.connect(address)
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    count += 1
print(count / seconds)
"""


def _rate(client: Outside, host: Host, port: int, seconds: float) -> float:
    """Return connections a second; none may fail."""
    done = client.run(sys.executable, "-I", "-S", "-c", _CLIENT, host.address, port, seconds, timeout=seconds + 30)
    return float(done.stdout)


def _serve(space: Space, port: int) -> None:
    server = space.popen(sys.executable, "-I", "-S", "-c", _SERVER, port, stdout=-1, text=True)
    assert server.stdout and server.stdout.readline() == "ready\n"


def _host(hosts: Hosts, lan: Lan, name: str) -> Host:
    host = hosts.host(name, lan)
    # Connections that are over must not fill the table while thousands a second come.
    for state in ("close", "time_wait", "close_wait", "last_ack"):
        host.sysctl(f"net/netfilter/nf_conntrack_tcp_timeout_{state}", 1)
    return host


def _weft(hosts: Hosts, lan: Lan, ports: int, port: int) -> Host:
    host = _host(hosts, lan, f"weft{ports}")
    host.start_agent()
    box = host.container("web")
    published = f"{_FIRST}-{_FIRST + ports - 1}" if ports > 1 else str(port)
    host.weft(
        "attach", "--netns", box.path, "--name", "web", "--net", "bridge", "-p", f"{published}:{published}", timeout=300
    )
    _serve(box, port)
    return host


def _chain(hosts: Hosts, lan: Lan, ports: int, port: int) -> Host:
    """Make by hand what Docker makes: the rule of ``port`` stands in the middle of the chain."""
    host = _host(hosts, lan, f"chain{ports}")
    box = host.container("web")
    host.sysctl("net/ipv4/ip_forward", 1)
    host.ip(
        "link add br0 type bridge",
        "address add 10.89.0.1/24 dev br0",
        "link set br0 up",
        f"link add p0 master br0 type veth peer name eth0 netns {box.path}",
        "link set p0 up",
    )
    box.ip("address add 10.89.0.2/24 dev eth0", "link set eth0 up", "route add default via 10.89.0.1")
    numbers = range(_FIRST, _FIRST + ports) if ports > 1 else [port]
    rules = "".join(
        f"-A DOCKER ! -i br0 -p tcp -m tcp --dport {number} -j DNAT --to-destination 10.89.0.2:{number}\n"
        for number in numbers
    )
    table = f"*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n{rules}COMMIT\n"
    host.run("iptables-restore", input=table)
    _serve(box, port)
    return host


def measure(rounds: int, seconds: float, ports: int) -> Result:
    """Measure both, with one port and with many."""
    port = _FIRST + ports // 2
    with Hosts() as hosts:
        lan = hosts.lan()
        client = hosts.outside("client", lan)
        sides = {
            "weft, 1 port": _weft(hosts, lan, 1, port),
            f"weft, {ports} ports": _weft(hosts, lan, ports, port),
            "chain, 1 port": _chain(hosts, lan, 1, port),
            f"chain, {ports} ports": _chain(hosts, lan, ports, port),
        }
        rates = interleave({name: partial(_rate, client, host, port, seconds) for name, host in sides.items()}, rounds)
    figures = {name: summary(values, 0) for name, values in rates.items()}
    one, many, chain_one, chain_many = (figures[name]["median"] for name in sides)
    return {
        "ports": ports,
        "per_second": figures,
        "weft_ratio": round(many / one, 3),
        "chain_ratio": round(chain_many / chain_one, 3),
    }


if __name__ == "__main__":
    main("N6: new connections through a published port", measure, rounds=7, seconds=2.0, ports=10000)
