"""What a sandbox sees, what it cannot do, and that the host does not notice it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from weft.runtimes.sandbox.isolation import CAPABILITIES

from .conftest import Script, Start


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def test_host_name_is_its_own(script: Script) -> None:
    before = socket.gethostname()
    assert script("hostname; uname -n", hostname="joe.example") == "joe.example\njoe.example\n"
    assert socket.gethostname() == before


def test_no_host_name_keeps_the_hosts(script: Script) -> None:
    assert script("hostname", hostname="") == socket.gethostname() + "\n"


def test_network_is_the_given_namespace(script: Script, netns: str) -> None:
    ip("-n", Path(netns).name, "link", "add", "sbtest0", "type", "bridge")
    assert script("ls /sys/class/net; ip -o link | wc -l").split() == ["lo", "sbtest0", "2"]
    assert int(script("stat -Lc %i /proc/self/ns/net")) == os.stat(netns).st_ino


def test_without_a_namespace_the_network_is_the_hosts(script: Script) -> None:
    assert script("ls /sys/class/net", netns=None).split() == sorted(os.listdir("/sys/class/net"))


def test_sees_only_its_own_processes(script: Script) -> None:
    assert script("echo /proc/[0-9]*; cat /proc/1/comm; echo $PPID") == "/proc/1 /proc/2\nweft-init\n1\n"


def test_control_groups_stay_visible(script: Script) -> None:
    assert script("ls /sys/fs/cgroup").split() == sorted(os.listdir("/sys/fs/cgroup"))


def test_command_gets_three_descriptors_and_no_more(script: Script) -> None:
    listing = script(f"{sys.executable} -I -S -c 'import os; print(os.listdir(\"/proc/self/fd\"))'")
    assert listing == "['0', '1', '2', '3']\n"  # 3 is the listing's own.


def test_environment_is_what_was_given_and_a_few_defaults(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SB_SECRET_OF_THE_AGENT", "x")
    sandbox = start("env", env={"COLOUR": "blue = green\nred", "HOME": "/tmp"})
    assert sandbox.wait() == 0
    assert sorted(sandbox.log.splitlines()) == [
        "COLOUR=blue = green",
        "HOME=/tmp",
        "HOSTNAME=joe",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "red",
    ]


def test_agent_environment_is_not_in_the_first_process_either(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SB_SECRET_OF_THE_AGENT", "x")
    sandbox = start("sleep", "60")
    assert b"SECRET" not in Path(f"/proc/{sandbox.pid}/environ").read_bytes()


def test_files_are_laid_over_those_of_the_host(script: Script, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.1 joe\n")
    before = Path("/etc/hosts").read_bytes()
    assert script("cat /etc/hosts", files={"/etc/hosts": str(hosts)}) == "10.0.0.1 joe\n"
    assert Path("/etc/hosts").read_bytes() == before


def test_files_edited_in_place_are_seen_live_both_ways(start: Start, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("one\n")
    sandbox = start(
        "sh", "-c", "until grep -q two /etc/hosts; do sleep 0.02; done; echo three >> /etc/hosts",
        files={"/etc/hosts": str(hosts)},
    )  # fmt: skip
    with hosts.open("a") as file:
        file.write("two\n")
    assert sandbox.wait() == 0
    assert hosts.read_text() == "one\ntwo\nthree\n"


def test_targets_that_the_host_lacks_are_not_created_on_the_host(script: Script, tmp_path: Path) -> None:
    """A host may have no /etc/hostname, and its /etc/resolv.conf may be a link that leads nowhere."""
    source = tmp_path / "source"
    source.write_text("laid\n")
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "present").write_text("host's\n")
    (etc / "dangling").symlink_to(tmp_path / "nowhere" / "resolv.conf")
    targets = [f"{etc}/missing", f"{etc}/dangling", f"{etc}/other", f"{etc}/more"]
    printed = script(
        f"cat {etc}/missing {etc}/dangling {etc}/other {etc}/more {etc}/present; echo x > {etc}/new; ls {etc}",
        files=dict.fromkeys(targets, str(source)),
    )
    assert printed == "laid\n" * 4 + "host's\n" + "dangling\nmissing\nmore\nnew\nother\npresent\n"
    assert sorted(path.name for path in etc.iterdir()) == ["dangling", "present"]
    assert (etc / "dangling").is_symlink()


def test_mounts_of_the_host_are_unchanged(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("")

    def mounts() -> list[str]:
        # Namespaces come and go by the hands of others.
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - nsfs " not in line]

    before = mounts()
    sandbox = start("sleep", "60", files={"/etc/hosts": str(source), f"{tmp_path}/missing": str(source)})
    assert mounts() == before
    sandbox.signal(9)
    sandbox.wait()
    assert mounts() == before


def test_mounts_do_not_spread_where_the_hosts_are_shared(tmp_path: Path, netns: str) -> None:
    """systemd makes every mount of a host shared: what is mounted in one namespace appears in the others."""
    source = tmp_path / "source"
    source.write_text("laid\n")
    code = (
        "import sys; from weft.agent.launcher import SandboxSpec; from pathlib import Path\n"
        "from weft.runtimes.sandbox.launcher import SandboxLauncher as L\n"
        "mounts = lambda: [line for line in open('/proc/self/mountinfo') if ' - nsfs ' not in line]\n"
        "before, directory = mounts(), Path(sys.argv[1])\n"
        "assert ' shared:' in before[0]\n"
        "L().start(SandboxSpec(id='a', directory=str(directory), netns=sys.argv[2], hostname='',\n"
        "    files={'/etc/hosts': sys.argv[3], sys.argv[3] + '-2': sys.argv[3]}, command=('cat', '/etc/hosts')))\n"
        "print(mounts() == before, L().wait(directory, 20), mounts() == before)"
    )
    shared = ["unshare", "--mount", "--propagation", "shared", sys.executable, "-c", code]
    done = subprocess.run([*shared, str(tmp_path / "s"), netns, str(source)], capture_output=True, text=True)
    assert done.stdout == "True 0 True\n", done.stderr
    assert (tmp_path / "s" / "log").read_text() == "laid\n"


def test_directories_of_namespaces_are_not_held(script: Script, netns: str) -> None:
    """A thousand sandboxes that each held the mounts of all others would be a million mounts."""
    assert netns in Path("/proc/self/mountinfo").read_text()
    assert script("grep -c /run/netns/ /proc/self/mountinfo") == "0\n"


def test_namespace_that_is_removed_is_not_kept_alive(start: Start, tmp_path: Path) -> None:
    """A sandbox that was started meanwhile has a copy of the mount; removing the file takes that away too."""
    one, two, file = f"sb-{os.getpid()}-1", f"sb-{os.getpid()}-2", tmp_path / "one"
    file.touch()
    with ExitStack() as stack:
        for name in (one, two):
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True)
        ip("link", "add", "sbtest0", "netns", one, "type", "veth", "peer", "sbtest1", "netns", two)
        subprocess.run(["mount", "--bind", f"/run/netns/{one}", file], check=True)
        sandbox = start("sleep", "60")
        assert str(file) in Path(f"/proc/{sandbox.pid}/mountinfo").read_text()
        subprocess.run(["umount", file], check=True)
        file.unlink()
        ip("netns", "del", one)
        # With its namespace goes one end of the veth pair, and so the other end.
        deadline = time.monotonic() + 10
        while "sbtest1" in ip("-n", two, "link"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_capabilities_are_dockers_default_set(script: Script) -> None:
    mask = f"{sum(1 << number for number in CAPABILITIES):016x}"
    assert mask == "00000000a80425fb"  # as /proc/self/status shows it in a container of Docker's
    status = dict(line.split(":\t") for line in script("cat /proc/self/status").splitlines())
    assert [status[f"Cap{kind}"] for kind in ("Prm", "Eff", "Bnd")] == [mask] * 3
    assert status["CapInh"] == status["CapAmb"] == "0" * 16


def test_cannot_change_its_network(script: Script) -> None:
    """Neither by netlink, nor by sysctl, nor by sysfs, nor by way of a new mount of either."""
    tries = {
        "ip link set lo down": "Operation not permitted",
        "ip address add 10.9.9.9/32 dev lo": "Operation not permitted",
        "nft add table inet sb": "Operation not permitted",
        "echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6": "Read-only file system",
        "echo 1 > /proc/sys/kernel/core_uses_pid": "Read-only file system",
        "echo 9 > /sys/class/net/lo/mtu": "Read-only file system",
        "mount -t proc proc /proc": "permission denied",
        "mount -o remount,rw,bind /proc/sys": "permission denied",
        "umount /proc/sys": "must be superuser to unmount",
        "nsenter --net=/proc/1/ns/net true": "Operation not permitted",
        "unshare --user --map-root-user --mount umount /proc/sys": "not mounted",
        "unshare --user --map-root-user --mount --pid --fork --mount-proc true": "Operation not permitted",
    }
    for command, refusal in tries.items():
        printed = script(f"{command} 2>&1 && echo DONE")
        assert refusal.lower() in printed.lower(), command
        assert "DONE" not in printed, command


def test_may_use_raw_sockets(script: Script) -> None:
    assert "1 received" in script("ping -n -c 1 -W 2 127.0.0.1")
    code = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); print(1)"
    assert script(f"{sys.executable} -c '{code}'") == "1\n"


def test_an_inheritable_capability_of_the_agent_is_not_passed_on(netns: str, tmp_path: Path) -> None:
    """Inheritable capabilities come back when root executes a program, whatever the bounding set (CVE-2022-24769)."""
    code = (
        "import sys; from weft.agent.launcher import SandboxSpec; from pathlib import Path\n"
        "from weft.runtimes.sandbox.launcher import SandboxLauncher as L\n"
        "d = sys.argv[1]\n"
        "L().start(SandboxSpec(id='a', directory=d, netns=sys.argv[2], hostname='', "
        "command=('ip', 'link', 'set', 'lo', 'down')))\n"
        "print(L().wait(Path(d), 20))"
    )
    agent = ["setpriv", "--inh-caps=+net_admin,+sys_admin", sys.executable, "-c", code, str(tmp_path / "s"), netns]
    done = subprocess.run(agent, capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
    assert "not permitted" in (tmp_path / "s" / "log").read_text()
