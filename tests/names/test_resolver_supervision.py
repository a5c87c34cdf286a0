"""The name servers are looked after: started once, started again, found again, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from weft.agent.names import dnsmasq
from weft.model.base import replace
from weft.model.errors import InvalidInput, InvalidName, ResolverFailed, Unsupported
from weft.plan import names
from weft.plan.names import HostEntry

from . import dnsclient
from .dnsclient import NOERROR, NXDOMAIN
from .lab import OTHER_UPSTREAM, Lab, Member, eventually


def _web(lab: Lab) -> Member:
    network = lab.network("shop_net", "10.91.1", "fd91:1")
    lab.answer(network)
    return lab.container("web", (network, 10))


def _only_pid(lab: Lab) -> int:
    (pid,) = lab.supervisor.running().values()
    return pid


def _kill(pid: int) -> None:
    """Kill a process and wait until it is dead."""
    dnsmasq.kill(os.pidfd_open(pid))


def _answers(member: Member) -> bool:
    try:
        return member.ask("web", timeout=0.1).values == ["10.91.1.10"]
    except OSError:
        return False


def test_ensuring_again_changes_nothing(lab: Lab) -> None:
    web = _web(lab)
    pid = _only_pid(lab)
    for _ in range(100):
        assert lab.supervisor.ensure(lab.standard(web.networks()[0])) == 53
    assert _only_pid(lab) == pid


def test_it_runs_without_root_and_hears_only_at_the_gateways(lab: Lab) -> None:
    _web(lab)
    status = Path(f"/proc/{_only_pid(lab)}/status").read_text()
    uids = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    assert "0" not in uids
    sockets = lab.host.sh("ss -Hlntu").split("\n")
    assert sorted({line.split()[4] for line in sockets if line}) == ["10.91.1.1:53", "[fd91:1::1]:53"]


def test_a_closed_directory_above_means_root_and_it_works_all_the_same(lab: Lab, open_path: Path) -> None:
    open_path.chmod(0o700)
    lab.restart()
    web = _web(lab)
    assert "\nUid:\t0\t0\t0\t0\n" in Path(f"/proc/{_only_pid(lab)}/status").read_text()
    assert web.ask("web").values == ["10.91.1.10"]


@pytest.mark.parametrize("idle_clients", [0, 5])
def test_a_killed_server_is_back_within_a_second(lab: Lab, idle_clients: int) -> None:
    """Its children, which hold TCP clients and with them its port, are no obstacle."""
    web = _web(lab)
    idle = web.node.call(lambda: [socket.create_connection(("10.91.1.1", 53)) for _ in range(idle_clients)])
    assert _answers(web)
    for _ in range(2):
        before = _only_pid(lab)
        _kill(before)
        assert eventually(lambda: _answers(web), seconds=1.0)
        assert eventually(lambda before=before: before not in lab.supervisor.running().values())
        time.sleep(0.6)  # one that dies more often than that is made to wait
    for handle in idle:
        handle.close()


def test_the_next_agent_finds_the_servers_and_no_query_is_lost(lab: Lab) -> None:
    web = _web(lab)
    pid = _only_pid(lab)
    stop = threading.Event()
    failures: list[object] = []
    asked = 0

    def keep_asking() -> None:
        nonlocal asked
        while not stop.is_set():
            answer = dnsclient.ask_udp("10.91.1.1", "web", timeout=1.0)
            asked += 1
            if answer.values != ["10.91.1.10"]:
                failures.append(answer)

    def ask_inside() -> None:
        try:
            web.node.call(keep_asking)
        except OSError as error:
            failures.append(error)

    asker = threading.Thread(target=ask_inside)
    asker.start()
    entries = [names.host_entry(web.container, web.endpoints[0], web.networks()[0])]
    for _ in range(3):
        lab.restart()
        lab.host.call(lambda: lab.supervisor.sync([lab.standard(web.networks()[0])], entries))
    stop.set()
    asker.join()
    assert failures == []
    assert asked > 10
    assert _only_pid(lab) == pid


def test_a_server_found_again_is_still_looked_after(lab: Lab) -> None:
    web = _web(lab)
    lab.restart()
    _kill(_only_pid(lab))
    assert eventually(lambda: _answers(web), seconds=1.0)


def test_a_server_that_died_while_there_was_no_agent_is_started_by_the_next(lab: Lab) -> None:
    web = _web(lab)
    pid = _only_pid(lab)
    lab.supervisor.close()
    _kill(pid)
    lab.supervisor = lab.new_supervisor()
    entry = names.host_entry(web.container, web.endpoints[0], web.networks()[0])
    lab.host.call(lambda: lab.supervisor.sync([lab.standard(web.networks()[0])], [entry]))
    assert _answers(web)


def test_a_server_with_other_options_than_todays_is_replaced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    web = _web(lab)
    pid = _only_pid(lab)
    monkeypatch.setattr(dnsmasq, "CACHE_SIZE", 5_000)
    lab.restart()
    assert lab.supervisor.running() == {}
    assert lab.ensure(lab.standard(web.networks()[0])) == 53
    assert _only_pid(lab) != pid
    assert _answers(web)


def test_a_pid_that_has_become_another_process_is_left_alone(lab: Lab) -> None:
    web = _web(lab)
    key = lab.standard(web.networks()[0]).view.key
    pid = _only_pid(lab)
    lab.supervisor.close()
    _kill(pid)
    # A container's process, in a namespace of its own, that even calls itself like ours.
    words = ["sh", "-c", "read line", f"--pid-file={lab.run_dir}/dns/{key}.pid"]
    stranger = web.node.call(lambda: subprocess.Popen(words, stdin=subprocess.PIPE))
    (lab.run_dir / "dns" / f"{key}.pid").write_text(f"{stranger.pid}\n")
    try:
        lab.supervisor = lab.new_supervisor()
        lab.ensure(lab.standard(web.networks()[0]))
        assert stranger.poll() is None
        assert _answers(web)
    finally:
        stranger.communicate()


def test_two_agents_in_two_namespaces_do_not_disturb_each_other(lab: Lab, tmp_path: Path) -> None:
    web = _web(lab)
    other = Lab(tmp_path)
    try:
        theirs = _web(other)
        theirs.alias("theirs")
        assert theirs.ask("theirs").rcode == NOERROR
        assert web.ask("theirs").rcode == NXDOMAIN
        other.host.call(other.supervisor.stop_all)
        assert _answers(web)
    finally:
        other.close()


def test_where_port_53_is_taken_another_is_used(lab: Lab) -> None:
    """The host may run a name server of its own on all its addresses."""
    network = lab.network("shop_net", "10.91.1")

    def occupy() -> tuple[socket.socket, ...]:
        tcp = socket.create_server(("0.0.0.0", 53))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", 53))
        return tcp, udp

    occupied = lab.host.call(occupy)
    tried: list[int] = []
    port = lab.host.call(lambda: lab.supervisor.ensure(lab.standard(network), tried.append))
    assert (port, tried) == (names.FIRST_VIEW_PORT, [53, names.FIRST_VIEW_PORT])
    lab.restart()
    assert lab.ensure(lab.standard(network)) == port
    for handle in occupied:
        handle.close()


def test_a_missing_address_is_an_error_and_leaves_nothing(lab: Lab) -> None:
    network = replace(lab.network("shop_net", "10.91.1"), id="nowhere")
    moved = replace(lab.standard(network), addresses=("10.99.99.1",))
    with pytest.raises(ResolverFailed, match="10.99.99.1"):
        lab.ensure(moved)
    assert lab.supervisor.running() == {}
    assert list((lab.run_dir / "dns").iterdir()) == []


def test_sync_goes_on_trying_what_cannot_be_started_yet(lab: Lab) -> None:
    network = lab.network("shop_net", "10.91.1")
    lab.host.sh(f"ip address delete 10.91.1.1/24 dev {network.bridge}")
    lab.host.call(lambda: lab.supervisor.sync([lab.standard(network)], []))
    assert lab.supervisor.running() == {}
    lab.host.sh(f"ip address add 10.91.1.1/24 dev {network.bridge}")
    assert eventually(lambda: len(lab.supervisor.running()) == 1, seconds=2.0)


def test_sync_ends_what_is_not_wanted_and_forgets_what_is_not_there(lab: Lab) -> None:
    red, blue = lab.network("redish", "10.91.1"), lab.network("bluish", "10.91.2")
    lab.answer(red, blue)
    web, gone = lab.container("web", (red, 10)), lab.container("gone", (red, 11))
    entry = names.host_entry(web.container, web.endpoints[0], red)
    lab.host.call(lambda: lab.supervisor.sync([lab.standard(red)], [entry]))
    assert list(lab.supervisor.running()) == [lab.standard(red).view.key]
    assert web.ask("web").rcode == NOERROR
    assert web.ask("gone").rcode == NXDOMAIN
    gone.publish()
    assert web.ask("gone").rcode == NOERROR


def test_stopping_leaves_no_process_and_no_file_of_a_network(lab: Lab) -> None:
    _web(lab)
    pid = _only_pid(lab)
    lab.host.call(lab.supervisor.stop_all)
    assert f"\n{pid} " not in lab.host.sh(f"ip netns pids {lab.host.name}")
    assert lab.host.sh("ss -Hlntu") == ""
    assert list((lab.run_dir / "dns").iterdir()) == []
    assert list((lab.state_dir / "dns" / "hosts").iterdir()) == []
    assert list((lab.state_dir / "dns" / "kept").iterdir()) == []


def test_a_forgotten_network_takes_its_servers_along(lab: Lab) -> None:
    web = _web(lab)
    lab.host.call(lambda: lab.supervisor.forget_network(web.networks()[0].id))
    assert lab.supervisor.running() == {}
    assert list((lab.state_dir / "dns" / "hosts").iterdir()) == []


def test_the_hosts_servers_are_followed_without_a_restart(lab: Lab) -> None:
    first, second = lab.upstream(says="203.0.113.1"), lab.upstream(OTHER_UPSTREAM, "203.0.113.2")
    lab.supervisor.follow_host([first.address])
    web = _web(lab)
    pid = _only_pid(lab)
    assert web.ask("one.example").values == ["203.0.113.1"]
    lab.supervisor.follow_host([second.address])
    assert eventually(lambda: web.ask(f"n{time.monotonic_ns()}.example").values == ["203.0.113.2"])
    assert _only_pid(lab) == pid


def test_a_missing_program_is_said_to_be_missing(lab: Lab) -> None:
    network = lab.network("shop_net", "10.91.1")
    lab.supervisor._program = "dnsmasq-is-not-here"
    with pytest.raises(Unsupported, match="missing"):
        lab.ensure(lab.standard(network))


@pytest.mark.parametrize(
    "line", ["10.0.0.1 web\n10.0.0.2 bank", "10.0.0.1 web\0", "10.0.0.1 w\x1beb", "# 10.0.0.1", "10.0.0.1 wéb"]
)
def test_lines_that_are_not_just_names_are_refused(lab: Lab, line: str) -> None:
    with pytest.raises(InvalidName):
        lab.supervisor.publish(HostEntry(network_id="n", endpoint_id="e", lines=(line,)))


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a/b", ".hidden", "a\0b", "a\n", "x~"])
def test_ids_cannot_lead_elsewhere(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidInput):
        lab.supervisor.publish(HostEntry(network_id="n", endpoint_id=name, lines=()))
    with pytest.raises(InvalidInput):
        lab.supervisor.publish(HostEntry(network_id=name, endpoint_id="e", lines=()))
    with pytest.raises(InvalidInput):
        lab.supervisor.withdraw(name, "e")
    with pytest.raises(InvalidInput):
        lab.supervisor.forget_network(name)
