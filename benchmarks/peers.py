"""The programs that weft is measured beside: found, started inside namespaces of their own, and ended.

They are unpacked from Debian's packages into .peers, not installed: a Docker that is installed would start, now and at
every boot, and take over the firewall of the machine.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from weft.testing.hosts import Host
from weft.testing.spaces import Space

ROOT = Path(__file__).parents[1] / ".peers"
PACKAGES = ("docker.io", "containerd", "runc", "netavark", "aardvark-dns", "containernetworking-plugins")
#: Where the programs are below ROOT.
PLACES = ("usr/sbin", "usr/bin", "usr/lib/podman", "usr/lib/cni")
#: Seconds that dockerd may take to start.
START = 60.0


def unpack() -> list[str]:
    """Unpack the packages that are not yet; return those that cannot be had, which are left out then."""
    ROOT.mkdir(exist_ok=True)
    missing = []
    for package in PACKAGES:
        done = ROOT / f"{package}.unpacked"
        if done.exists():
            continue
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
        if not shutil.which("apt-get") or subprocess.run(download, cwd=ROOT, check=False).returncode:
            missing.append(package)
            continue
        (archive,) = ROOT.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive, ROOT], check=True)
        archive.unlink()
        done.write_text(archive.name.split("_")[1].replace("%3a", ":"))
    return missing


def versions() -> dict[str, str]:
    """Return the packages that are unpacked, and their versions."""
    done = {package: ROOT / f"{package}.unpacked" for package in PACKAGES}
    return {package: path.read_text() for package, path in done.items() if path.exists()}


def search_path() -> str:
    """Return $PATH with the peers in front."""
    return os.pathsep.join([*(str(ROOT / place) for place in PLACES), os.environ["PATH"]])


class Side(ABC):
    """Something that attaches containers to a network on a host; containers are numbered."""

    name: str

    def __init__(self, host: Host) -> None:
        self.host = host

    @abstractmethod
    def close(self) -> None:
        """End what was started; the host is somebody else's to end."""

    @abstractmethod
    def prepare(self, count: int) -> None:
        """Make the containers with numbers below ``count``, without a network."""

    @abstractmethod
    def attach(self, number: int) -> None:
        """Bring a container onto the network, with an address; return when it is."""

    @abstractmethod
    def detach(self, number: int) -> None:
        """Take it off the network again."""


class Bare(Side):
    """A side whose containers are bare namespaces."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.spaces: list[Space] = []

    def close(self) -> None:
        self.spaces.clear()  # they end with their host

    def prepare(self, count: int) -> None:
        for number in range(len(self.spaces), count):
            self.spaces.append(self.host.container(f"c{number}"))


class Weft(Bare):
    """weft, through the API of a running agent."""

    name = "weft"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        host.start_agent()
        host.weft("network", "create", "bench", "--subnet", "10.88.0.0/16")
        self._client = host.api

    def attach(self, number: int) -> None:
        wanted = {"name": f"c{number}", "netns": self.spaces[number].path, "networks": ["bench"]}
        self._client.request("POST", "/v1/attachments", wanted)

    def detach(self, number: int) -> None:
        self._client.request("DELETE", f"/v1/attachments/c{number}")


class CniBridge(Bare):
    """The CNI plugin 'bridge' with 'host-local', one process for each attachment as a runtime starts it."""

    name = "CNI bridge"
    programs = ("bridge", "host-local")

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        ipam = {"type": "host-local", "subnet": "10.88.0.0/16", "dataDir": str(host.directory / "cni")}
        kind = {"cniVersion": "0.4.0", "name": "bench", "type": "bridge", "bridge": "cni0", "isGateway": True}
        self._config = json.dumps({**kind, "ipam": ipam})
        self._program = _found("bridge")

    def attach(self, number: int) -> None:
        self._run("ADD", number)

    def detach(self, number: int) -> None:
        self._run("DEL", number)

    def _run(self, verb: str, number: int) -> None:
        environment = {
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": f"c{number}",
            "CNI_NETNS": self.spaces[number].path,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(Path(self._program).parent),
            "PATH": search_path(),
        }
        self.host.run(self._program, input=self._config, env=environment)


class Netavark(Bare):
    """Podman's network program, one process for each attachment."""

    name = "netavark"
    programs = ("netavark",)

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._program = _found("netavark")
        self._run_dir = host.directory / "netavark"
        self._run_dir.mkdir()
        # Podman never runs two of them at a time, and they would not bear it: "iptables: Chain already exists".
        self._lock = Lock()

    def attach(self, number: int) -> None:
        self._run("setup", number)

    def detach(self, number: int) -> None:
        self._run("teardown", number)

    def _run(self, verb: str, number: int) -> None:
        address = f"10.88.{(number + 2) // 256}.{(number + 2) % 256}"
        network = {
            "name": "bench", "id": "b" * 64, "driver": "bridge", "network_interface": "podman1",
            "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
            "ipv6_enabled": False, "internal": False, "dns_enabled": False, "ipam_options": {"driver": "host-local"},
        }  # fmt: skip
        wanted = {
            "container_id": f"{number:064x}",
            "container_name": f"c{number}",
            "networks": {"bench": {"interface_name": "eth0", "static_ips": [address]}},
            "network_info": {"bench": network},
        }
        command = [self._program, "--config", self._run_dir, verb, self.spaces[number].path]
        with self._lock:
            self.host.run(*command, input=json.dumps(wanted), env={"PATH": search_path()})


class Docker(Side):
    """Docker: running containers are connected to a further network, live, through its API."""

    name = "Docker"
    programs = ("dockerd", "containerd", "runc", "busybox", "iptables")

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._directory = host.directory / "docker"
        self._directory.mkdir()
        self._socket = self._directory / "sock"
        roots = [f"--{option}={self._directory / option}" for option in ("data-root", "exec-root", "pidfile")]
        self._log = (self._directory / "log").open("wb")
        self.daemon = host.popen(
            _found("dockerd"), "-H", f"unix://{self._socket}", *roots, "--bridge=none", "--storage-driver=vfs",
            stdout=self._log, stderr=self._log, env=os.environ | {"PATH": search_path()},
        )  # fmt: skip
        self._until_it_answers()
        self._import_image()
        for network in ("idle", "bench"):
            ipam = {"Config": [{"Subnet": "10.88.0.0/16" if network == "bench" else "10.87.0.0/16"}]}
            self._ask("POST", "/networks/create", {"Name": network, "IPAM": ipam})
        self._made = 0

    def close(self) -> None:
        for number in range(self._made):
            with suppress(OSError, RuntimeError):
                self._ask("DELETE", f"/containers/c{number}?force=1")
        self.daemon.terminate()
        self.daemon.wait()
        self._log.close()

    def prepare(self, count: int) -> None:
        for number in range(self._made, count):
            wanted = {
                "Image": "bench",
                "Cmd": ["/busybox", "sleep", "100000"],
                "HostConfig": {"NetworkMode": "idle", "Init": False},
            }
            self._ask("POST", f"/containers/create?name=c{number}", wanted)
            self._made = number + 1
            self._ask("POST", f"/containers/c{number}/start")

    def attach(self, number: int) -> None:
        self._ask("POST", "/networks/bench/connect", {"Container": f"c{number}"})

    def detach(self, number: int) -> None:
        self._ask("POST", "/networks/bench/disconnect", {"Container": f"c{number}", "Force": True})

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + START
        while True:
            try:
                self._ask("GET", "/version")
                return
            except OSError:
                if self.daemon.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._directory / "log").read_text()[-2000:]) from None
                time.sleep(0.1)

    def _import_image(self) -> None:
        root = self._directory / "image"
        root.mkdir()
        shutil.copy(_found("busybox"), root / "busybox")
        archive = subprocess.run(["tar", "-C", root, "-c", "."], check=True, capture_output=True).stdout
        self._ask("POST", "/images/create?fromSrc=-&repo=bench&tag=latest", archive)

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        connection = http.client.HTTPConnection("docker", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self._socket))
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
            connection.request(method, path, data, {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
            if response.status >= 400:
                raise RuntimeError(f"docker: {method} {path}: {answer.decode()}")
        finally:
            connection.close()


def _found(program: str) -> str:
    path = shutil.which(program, path=search_path())
    if not path:
        raise FileNotFoundError(program)
    return path


#: Everybody beside weft, with the programs that they need.
PEERS: tuple[type[CniBridge | Netavark | Docker], ...] = (CniBridge, Netavark, Docker)


def available() -> list[Callable[[Host], Side]]:
    """Return weft and the peers whose programs are here."""
    here = [peer for peer in PEERS if all(shutil.which(name, path=search_path()) for name in peer.programs)]
    return [Weft, *here]
