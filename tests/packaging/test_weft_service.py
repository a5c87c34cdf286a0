"""The systemd unit: systemd takes it, and the agent can do all of its work under it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from weft.runtimes.sandbox.isolation import CAPABILITIES
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.oracles import Snapshot, assert_clean

UNIT = Path(__file__).parents[2] / "packaging" / "weft.service"


def values(key: str) -> list[str]:
    return " ".join(re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)).split()


def capabilities() -> list[str]:
    return [name.removeprefix("CAP_").lower() for name in values("CapabilityBoundingSet")]


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    program = tmp_path / "weft"
    program.symlink_to("/bin/true")
    unit = tmp_path / "weft.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/weft", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_it_leaves_the_agent_in_the_hosts_mount_namespace() -> None:
    """Any of these would give it one of its own (systemd.exec(5)), and hide the namespaces that it makes."""
    assert not re.findall(
        r"^(Protect(?!Clock|Hostname)\w+|Private(?!Users|Network)\w+|\w+Paths|\w+Directories|Root\w+|Mount\w+|"
        r"Bind\w*Paths|TemporaryFileSystem|DynamicUser|NoExecPaths)=",
        UNIT.read_text(),
        re.MULTILINE,
    )


def test_containers_can_get_the_capabilities_that_they_are_promised() -> None:
    names = Path("/usr/include/linux/capability.h")
    if not names.exists():
        pytest.skip("the kernel's headers (linux-libc-dev) are not installed")
    numbers = {int(number): name for name, number in re.findall(r"#define (CAP_\w+)\s+(\d+)$", names.read_text(), re.M)}
    assert {numbers[number] for number in CAPABILITIES} <= set(values("CapabilityBoundingSet"))


@pytest.fixture
def confined(hosts: Hosts, lan: Lan) -> Host:
    """A host whose agent has the unit's bounding set, by setpriv(1)."""
    host = hosts.host("confined", lan)
    wanted = ",".join(["-all", *(f"+{name}" for name in capabilities())])
    wrapper = host.directory / "python"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --bounding-set {wanted} --inh-caps -all {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    host.start_agent(python=str(wrapper))
    return host


def test_the_agent_works_with_the_units_capabilities(confined: Host, eve: Outside) -> None:
    assert confined.agent is not None
    status = Path(f"/proc/{confined.agent.pid}/status").read_text()
    bounding = int(re.findall(r"^CapBnd:\s+(\w+)", status, re.MULTILINE)[0], 16)
    assert bounding.bit_count() == len(capabilities())

    clean = Snapshot.take(confined)
    confined.weft("network", "create", "app", "--ipv6")
    confined.weft("run", "-d", "--name", "web", "--net", "app", "-p", "8080:80", "--",
                  "busybox", "httpd", "-f", "-p", "80", "-h", "/etc")  # fmt: skip
    fetched = confined.weft(
        "run", "--rm", "--net", "app", "--", "busybox", "wget", "-q", "-O", "-", "http://web/hostname"
    )
    assert fetched.stdout
    assert b"200 OK" in eve.connect(confined.address, 8080, send=b"GET /hostname HTTP/1.0\r\n\r\n").data

    space = confined.container("guest")
    process = space.popen("sleep", "1000", user="nobody")
    confined.weft("attach", "--pid", process.pid, "--name", "guest", "--net", "app")
    assert space.addresses(version=4)
    confined.weft("detach", "guest")
    process.kill()
    process.wait()

    confined.weft("rm", "-f", "web")
    confined.weft("network", "rm", "app")
    assert_clean(clean, confined, within=5)
