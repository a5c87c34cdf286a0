"""The agent's socket: open to root and one group, one agent on it, nothing on TCP."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.api.recording import RecordingAgent, serving
from weft.api import listener as listener_module
from weft.api.client import Client
from weft.api.listener import Listener
from weft.api.server import Server
from weft.model.errors import AgentRunning, AgentUnreachable, Conflict, InvalidOption

#: A process that serves a recording agent on the socket that it is told, as the daemon does.
SERVE = """
import sys
from pathlib import Path
from tests.api.recording import RecordingAgent
from weft.api.listener import Listener
from weft.api.server import serve
path = Path(sys.argv[1])
with Listener(path) as listener:
    serve(RecordingAgent(path.parent.parent / "log"), listener)
print("ended in peace")
"""


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _open_files(pid: int) -> set[str]:
    found = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def _inode(pid: int, path: Path) -> str:
    """Return the number of the listening socket, which /proc knows by the path it was bound to."""
    rows = Path(f"/proc/{pid}/net/unix").read_text().splitlines()
    return next(row.split()[6] for row in rows if row.endswith(f"{path}.new"))


def _start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await_answer(path: Path) -> int:
    deadline = time.monotonic() + 20
    while True:
        try:
            return int(Client(path).request("GET", "/v1/version")["pid"])
        except AgentUnreachable:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_socket_and_directory_are_closed_to_others(client: Client, socket_path: Path) -> None:
    """The socket has mode 0660, its directory 0750, and both belong to root."""
    assert (_mode(socket_path), _mode(socket_path.parent)) == (0o660, 0o750)
    assert (socket_path.stat().st_uid, socket_path.parent.stat().st_uid) == (0, 0)


def test_the_group_weft_gets_in_where_it_exists(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Socket and directory are given to the group, whatever group that is."""
    import grp

    group = grp.getgrnam("daemon")
    monkeypatch.setattr(listener_module, "GROUP", group.gr_name)
    door = Listener(socket_path)
    assert (socket_path.stat().st_gid, socket_path.parent.stat().st_gid) == (group.gr_gid, group.gr_gid)
    door.close()


def test_no_inet_socket_is_opened(socket_path: Path) -> None:
    """A serving process holds unix sockets and no others, abstract ones neither."""
    process = _start(socket_path)
    try:
        pid = _await_answer(socket_path)
        own = _open_files(pid)
        assert f"socket:[{_inode(pid, socket_path)}]" in own
        for family in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
            rows = Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]
            assert not own & {f"socket:[{row.split()[9]}]" for row in rows}
        rows = Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]
        abstract = {f"socket:[{row.split()[6]}]" for row in rows if " @" in row}
        assert not own & abstract
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_removes_the_socket(number: signal.Signals, socket_path: Path) -> None:
    """Asked to end, it ends by itself, promptly, and leaves no socket."""
    process = _start(socket_path)
    _await_answer(socket_path)
    process.send_signal(number)
    said, complained = process.communicate(timeout=10)
    assert (process.returncode, said, complained) == (0, "ended in peace\n", "")
    assert list(socket_path.parent.iterdir()) == []


def test_a_socket_that_a_killed_agent_left_is_replaced(socket_path: Path, agent: RecordingAgent) -> None:
    """After kill -9 the next agent gets on at once."""
    process = _start(socket_path)
    _await_answer(socket_path)
    process.kill()
    process.communicate()
    assert socket_path.exists()
    with serving(agent, socket_path) as client:
        assert client.request("GET", "/v1/version")["pid"] == os.getpid()


def test_a_second_agent_is_refused(client: Client, socket_path: Path) -> None:
    """And the first one goes on answering."""
    with pytest.raises(AgentRunning, match=str(socket_path.parent)):
        Listener(socket_path)
    assert client.request("GET", "/v1/version")["pid"] == os.getpid()


def test_of_agents_that_start_at_once_one_gets_on(socket_path: Path, tmp_path: Path) -> None:
    """However they race for a stale socket, one serves and the others say why they do not."""
    socket_path.parent.mkdir(mode=0o750)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(socket_path))
    stale.close()
    processes = [_start(socket_path) for _ in range(6)]
    winner = _await_answer(socket_path)
    losers = [process for process in processes if process.pid != winner]
    for process in losers:
        assert "AgentRunning" in process.communicate(timeout=20)[1]
    assert _await_answer(socket_path) == winner
    survivor = next(process for process in processes if process.pid == winner)
    survivor.terminate()
    survivor.communicate(timeout=10)


def test_somebody_else_on_the_socket_is_left_alone(socket_path: Path) -> None:
    """A listener that holds no lock is no stale socket."""
    socket_path.parent.mkdir(mode=0o750)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_path))
        other.listen()
        with pytest.raises(AgentRunning):
            Listener(socket_path)
        assert socket_path.exists()


def test_what_is_not_a_socket_is_not_removed(socket_path: Path) -> None:
    """A file of that name is somebody's."""
    socket_path.parent.mkdir(mode=0o750)
    socket_path.write_text("mine")
    with pytest.raises(Conflict, match="not a socket"):
        Listener(socket_path)
    assert socket_path.read_text() == "mine"


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o770, 0o1777])
def test_a_directory_open_to_others_is_refused(mode: int, socket_path: Path) -> None:
    """weft neither serves from /tmp nor changes the mode of a directory that it did not make."""
    socket_path.parent.mkdir()
    socket_path.parent.chmod(mode)
    with pytest.raises(InvalidOption, match="open to other users"):
        Listener(socket_path)
    assert _mode(socket_path.parent) == mode


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """sun_path has 107 bytes; the server says so, and so does the client."""
    path = tmp_path / ("x" * 100) / "weft.sock"
    with pytest.raises(InvalidOption, match="too long"):
        Listener(path)
    assert not path.parent.exists()
    with pytest.raises(InvalidOption, match="too long"):
        Client(path).request("GET", "/v1/version")


def test_closing_removes_only_its_own_socket(socket_path: Path) -> None:
    """What took its place meanwhile stays."""
    door = Listener(socket_path)
    socket_path.unlink()
    socket_path.write_text("another")
    door.close()
    assert socket_path.read_text() == "another"


def test_requests_wait_for_an_agent_that_is_coming_up(socket_path: Path, agent: RecordingAgent) -> None:
    """The socket may be opened before the agent is ready: who comes early is answered late, not refused."""
    listener = Listener(socket_path)
    server = Server(agent, listener)
    answers: list[object] = []
    early = threading.Thread(target=lambda: answers.append(Client(socket_path).request("GET", "/v1/status")))
    early.start()
    time.sleep(0.2)
    assert answers == []
    server.start()
    early.join(10)
    assert len(answers) == 1
    server.stop()
    listener.close()
