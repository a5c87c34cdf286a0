"""N7: name look-ups per second from a container, beside Docker's resolver, aardvark-dns and a plain dnsmasq.

    python -m benchmarks.names [--rounds 5] [--seconds 3] [--json]

dnsperf asks for one container's name, A and AAAA in turn, as fast as answers come, and each side in turn, A B A B …
weft is asked twice: at port 53 of the gateway, as most containers do, and through the translation that leads a
container with servers of its own to another port.  dnsmasq and aardvark-dns listen on the same gateway, so the way
there is the same; Docker runs as it comes, in a network namespace of its own.  Peers that are not installed are
left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from weft.agent.names.resolver import ResolverSupervisor
from weft.kernel import namespaces
from weft.kernel.linux import LinuxKernel
from weft.model.container import Address, Container, Endpoint, Namespace
from weft.model.identity import bridge_name, mac_from_address, new_id, port_name
from weft.model.network import Network, Subnet
from weft.model.settings import Settings
from weft.plan import names
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host, Wiring
from weft.plan.facts import HostFacts
from weft.plan.firewall import tables
from weft.plan.operations import additions

_HOST = Host(settings=Settings(), facts=HostFacts(mtus={"up0": 1500}))
_GATEWAY = "10.77.0.1"
#: How many other containers have names on each side (Docker's excepted, which would have to run them).
_OTHERS = 250

#: What dnsperf asks, over and over.
_QUERIES = Path(__file__).with_name("names.queries")

_DNSMASQ_PORT = 5401
_AARDVARK_PORT = 5402


class Side(NamedTuple):
    """Whom to ask, and from which network namespace."""

    namespace: str
    server: str
    port: int = 53


# --- weft -------------------------------------------------------------------------------------------------------


class Weft:
    """A network of weft's with its name server, and two containers on it: 'web', and 'own' with servers of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kernel = LinuxKernel()
        ident = new_id()
        self._network = Network(
            id=ident,
            name="bench",
            subnets=(Subnet(cidr="10.77.0.0/16", gateway=_GATEWAY),),
            bridge=bridge_name(ident),
            mtu=1500,
        )
        self._kernel.apply(additions((*tables(), *registry("bridge").network(self._network, _HOST))))
        for name in ("state", "run"):
            (directory / name).mkdir()
        self._servers = ResolverSupervisor(directory / "state", directory / "run")
        self._servers.open()
        self._namespaces: list[Namespace] = []

    def start(self) -> dict[str, Side]:
        """Attach the containers and return the two ways of asking."""
        sides = {}
        for number, (side, dns) in enumerate({"weft": (), "weft, own servers": ("192.0.2.1",)}.items()):
            container = Container(id=new_id(), name=("web", "own")[number], dns=dns)
            endpoint, path = self._attach(container, number)
            view = names.view_of(container, [self._network], _HOST.settings)
            assert view is not None
            port = self._servers.ensure(names.name_server(view, [self._network], _HOST.settings))
            redirect = (*names.opening(port), *names.redirect(endpoint, self._network.bridge, port))
            self._kernel.apply(additions(redirect))
            sides[side] = Side(path, _GATEWAY)
        for number in range(_OTHERS):
            container = Container(id=new_id(), name=f"other{number}")
            self._servers.publish(names.host_entry(container, self._endpoint(container, 10 + number), self._network))
        return sides

    def hosts(self) -> str:
        """Return what the containers are called, as one hosts file."""
        entries = (self._directory / "state" / "dns" / "hosts" / self._network.id).iterdir()
        return "".join(entry.read_text() for entry in entries)

    def _attach(self, container: Container, number: int) -> tuple[Endpoint, str]:
        path = str(self._directory / container.name)
        namespace = self._kernel.create_namespace(path)
        self._namespaces.append(namespace)
        endpoint = self._endpoint(container, number)
        wiring = Wiring(network=self._network, endpoint=endpoint, namespace=namespace, owner=container.name)
        self._kernel.apply(additions(registry("bridge").endpoint(wiring, _HOST)))
        self._servers.publish(names.host_entry(container, endpoint, self._network))
        return endpoint, path

    def _endpoint(self, container: Container, number: int) -> Endpoint:
        ident = new_id()
        address = Address(address=f"10.77.{1 + number // 250}.{1 + number % 250}", prefixlen=16, gateway=_GATEWAY)
        return Endpoint(
            id=ident,
            network_id=self._network.id,
            container_id=container.id,
            port=port_name(ident),
            mac=mac_from_address(address.address),
            addresses=(address,),
            gateway=True,
        )

    def close(self) -> None:
        """End the servers and remove the containers' namespaces; the rest goes with the host's namespace."""
        self._servers.stop_all()
        self._servers.close()
        for namespace in self._namespaces:
            self._kernel.remove_namespace(namespace)
        self._kernel.close()


# --- peers ------------------------------------------------------------------------------------------------------


@contextmanager
def _dnsmasq(directory: Path, hosts: str, asker: str) -> Iterator[Side]:
    """Run dnsmasq with the names in one file, as one would by hand."""
    (directory / "hosts").write_text(hosts)
    pid_file = directory / "dnsmasq.pid"
    subprocess.run(
        [
            "dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--bind-interfaces", "--user=root",
            f"--listen-address={_GATEWAY}", f"--port={_DNSMASQ_PORT}", f"--addn-hosts={directory / 'hosts'}",
            f"--pid-file={pid_file}", "--local=//", "--local=/bench/",
        ],
        check=True,
    )  # fmt: skip
    try:
        yield Side(asker, _GATEWAY, _DNSMASQ_PORT)
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGTERM)


@contextmanager
def _aardvark(program: str, directory: Path, hosts: str, asker: str) -> Iterator[Side]:
    """Run Podman's resolver with the same names; its file is one line of addresses and then one for each container."""
    configuration = directory / "aardvark"
    configuration.mkdir()
    lines = [_GATEWAY]
    for line in hosts.splitlines():
        address, *called = line.split()
        lines.append(f"{new_id()} {address}  {','.join(called)}")
    (configuration / "bench").write_text("\n".join(lines) + "\n")
    command = [program, "--config", str(configuration), "--port", str(_AARDVARK_PORT), "run"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _ask(Side(asker, _GATEWAY, _AARDVARK_PORT), 0.1) > 0, "aardvark-dns")
        yield Side(asker, _GATEWAY, _AARDVARK_PORT)
    finally:
        with suppress(OSError, ValueError):  # newer ones turn themselves into daemons
            os.kill(int((configuration / "aardvark.pid").read_text()), signal.SIGTERM)
        process.kill()
        process.wait()


@contextmanager
def _docker(directory: Path) -> Iterator[Side]:
    """Run Docker with a network of its own and two containers on it, all below ``directory``."""
    directory = directory / "docker"
    socket = f"unix://{directory}/sock"
    docker = ["docker", "-H", socket]
    roots = [f"--{option}={directory / option}" for option in ("data-root", "exec-root", "pidfile")]
    command = ["dockerd", "-H", socket, *roots, "--bridge=none", "--storage-driver=vfs"]
    directory.mkdir()
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)

    def call(*words: str) -> str:
        return subprocess.run([*docker, *words], check=True, capture_output=True, text=True).stdout.strip()

    try:
        _until(lambda: subprocess.run([*docker, "version"], capture_output=True).returncode == 0, "dockerd")
        _import_image(docker, directory)
        call("network", "create", "bench")
        call("run", "-d", "--name", "web", "--net", "bench", "weft-bench", "/busybox", "sleep", "3600")
        call("run", "-d", "--name", "asker", "--net", "bench", "weft-bench", "/busybox", "sleep", "3600")
        pid = call("inspect", "-f", "{{.State.Pid}}", "asker")
        yield Side(f"/proc/{pid}/ns/net", "127.0.0.11")
    finally:
        with suppress(subprocess.CalledProcessError):
            call("rm", "-f", "web", "asker")
        daemon.terminate()
        daemon.wait()


def _import_image(docker: list[str], directory: Path) -> None:
    root = directory / "image"
    root.mkdir()
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "busybox")
    archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    subprocess.run([*docker, "import", "-", "weft-bench"], stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True)
    archive.wait()


def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what} does not come up")
        time.sleep(0.2)


# --- measuring --------------------------------------------------------------------------------------------------


def _ask(side: Side, seconds: float) -> float:
    """Return how many look-ups a second dnsperf gets answered."""
    done = subprocess.run(
        [
            "nsenter", f"--net={side.namespace}", "dnsperf", "-s", side.server, "-p", str(side.port),
            "-l", str(seconds), "-c", "4", "-t", "1", "-d", str(_QUERIES),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    codes = re.search(r"Response codes:\s+NOERROR (\d+)", done.stdout)
    rate = re.search(r"Queries per second:\s+([\d.]+)", done.stdout)
    return float(rate[1]) if rate and codes else 0.0


def measure(rounds: int, seconds: float) -> dict[str, object]:
    """Ask every side ``rounds`` times, in turn; return look-ups per second and their ratios to weft's."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-bench-")))
        directory.chmod(0o711)
        weft = Weft(directory)
        stack.callback(weft.close)
        sides = weft.start()
        asker = sides["weft"].namespace
        sides["dnsmasq"] = stack.enter_context(_dnsmasq(directory, weft.hosts(), asker))
        aardvark = shutil.which("aardvark-dns") or shutil.which("aardvark-dns", path="/usr/lib/podman")
        if aardvark:
            sides["aardvark-dns"] = stack.enter_context(_aardvark(aardvark, directory, weft.hosts(), asker))
        if shutil.which("dockerd") and shutil.which("docker"):
            sides["docker"] = namespaces.in_new_namespace(lambda: stack.enter_context(_docker(directory)))
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                rates[name].append(_ask(side, seconds))
    return _summary(rates)


def _summary(rates: dict[str, list[float]]) -> dict[str, object]:
    own = statistics.median(rates["weft"])
    return {
        name: {
            "per_second": round(statistics.median(values)),
            "spread": [round(min(values)), round(max(values))],
            "weft_to_it": round(own / statistics.median(values), 2),
        }
        for name, values in rates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="N7: name look-ups per second from a container")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is asked")
    parser.add_argument("--seconds", type=float, default=3.0, help="for how long each time")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("weft: this makes network namespaces and needs root")
    result = namespaces.in_new_namespace(lambda: measure(arguments.rounds, arguments.seconds))
    if arguments.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:18} {value}")


if __name__ == "__main__":
    main()
