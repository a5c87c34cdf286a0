"""``weft up`` and ``weft down`` with a real agent on a machine of its own."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.testing.hosts import Host, Hosts, Lan


@pytest.fixture
def machine(hosts: Hosts, lan: Lan) -> Iterator[Host]:
    """A machine on which no agent runs yet; its agent and containers are ended with the test."""
    host = hosts.host("m1", lan)
    yield host
    host.weft("down", "--all", check=False)


def _up(machine: Host, *words: object, check: bool = True) -> str:
    done = machine.weft(
        "up", "--state-dir", machine.state_dir, "--resolv-conf", machine.resolv_conf, *words, check=check
    )
    return done.stdout + done.stderr


def _pid(said: str) -> int:
    found = re.fullmatch(r"the agent runs, pid (\d+)\n", said)
    assert found, said
    return int(found[1])


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about yet (state Z) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_up_starts_an_agent_that_outlives_the_command(machine: Host) -> None:
    """It answers, in a session of its own, without our terminal, and with its log beside its state."""
    pid = _pid(_up(machine))
    assert machine.weft_json("version", "--format", "json")["agent"]["pid"] == pid
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    log = machine.state_dir / "agent.log"
    assert os.readlink(f"/proc/{pid}/fd/2") == str(log)
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_up_again_is_no_error_and_no_second_agent(machine: Host) -> None:
    """The one that runs is named."""
    assert _pid(_up(machine)) == _pid(_up(machine))


def test_up_twice_at_once_starts_one_agent(machine: Host) -> None:
    """Both commands succeed and name the same one."""
    said: list[str] = []
    commands = [threading.Thread(target=lambda: said.append(_up(machine))) for _ in range(3)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert len(said) == 3 and len({_pid(line) for line in said}) == 1


def test_up_says_why_an_agent_ended_at_once(machine: Host) -> None:
    """The agent's own error, and where its log is."""
    machine.config.write_text("nonsense = true\n")
    said = _up(machine, "--config", machine.config, check=False)
    assert said.startswith("weft: the agent has ended at once; weft: ") and "nonsense" in said
    assert str(machine.state_dir / "agent.log") in said


def test_up_does_not_run_what_lies_in_the_current_directory(machine: Host, tmp_path: Path) -> None:
    """A directory that somebody else fills is no place to import from."""
    trap = tmp_path / "weft"
    trap.mkdir()
    (trap / "__init__.py").write_text("raise SystemExit('caught')")
    (tmp_path / "argparse.py").write_text("raise SystemExit('caught')")
    script = "import sys; sys.path.pop(0); from weft.__main__ import main; sys.exit(main())"
    environment = os.environ | {"WEFT_RUN_DIR": str(machine.run_dir), "PYTHONPATH": f"x{os.pathsep}{Path.cwd()}"}
    done = machine.run(
        sys.executable, "-c", script, "up", "--state-dir", machine.state_dir, cwd=tmp_path, env=environment
    )
    _pid(done.stdout)


def test_relative_paths_are_those_of_the_caller(machine: Host) -> None:
    """Although the agent starts elsewhere."""
    relative = os.path.relpath(machine.state_dir)
    machine.weft("--run-dir", os.path.relpath(machine.run_dir), "up", "--state-dir", relative)
    assert (machine.state_dir / "agent.log").exists()
    assert (machine.run_dir / "weft.sock").exists()


def test_up_rehearsed_starts_nothing(machine: Host) -> None:
    """It prints the command line of the agent."""
    assert f" -m weft agent --state-dir {machine.state_dir} --run-dir {machine.run_dir} " in _up(machine, "--dry-run")
    assert not machine.state_dir.exists()


def test_down_leaves_containers_running(machine: Host) -> None:
    """The agent ends, its socket goes; the container and its network stay, and the next agent knows them."""
    pid = _pid(_up(machine))
    machine.weft("run", "-d", "--name", "web", "--", "sleep", "600")
    container = machine.weft_json("inspect", "web")[0]["State"]["Pid"]
    assert machine.weft("down", "--dry-run").stdout == f"kill -TERM {pid}\n"
    assert _runs(pid)
    assert machine.weft("down").stdout == ""
    assert not _runs(pid) and _runs(container)
    assert not (machine.run_dir / "weft.sock").exists()
    assert machine.weft("down").stdout == "no agent runs\n"
    _up(machine)
    assert machine.weft_json("inspect", "web")[0]["State"] == {
        **machine.weft_json("inspect", "web")[0]["State"], "Pid": container, "Running": True,
    }  # fmt: skip


def test_down_all_takes_everything_away(machine: Host) -> None:
    """Containers and interfaces; the rehearsal prints it and does not."""
    pid = _pid(_up(machine))
    machine.weft("run", "-d", "--name", "web", "--", "sleep", "600")
    container = machine.weft_json("inspect", "web")[0]["State"]["Pid"]
    commands = machine.weft("down", "--all", "--dry-run").stdout.splitlines()
    assert "ip link delete weft0" in commands and commands[-1] == f"kill -TERM {pid}"
    assert _runs(container) and _runs(pid)
    machine.weft("down", "--all")
    assert not _runs(container) and not _runs(pid)
    assert "weft0" not in machine.run("ip", "-o", "link").stdout


def test_down_all_without_an_agent_is_an_error(machine: Host) -> None:
    """Only an agent can take its own away; silence would be taken for success."""
    done = machine.weft("down", "--all", check=False)
    assert done.returncode == 1 and done.stderr.startswith("weft: no agent answers")
