"""Terminals and piped input: what is typed reaches the command, what it prints reaches everybody who is attached."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from weft.api import console as near_end
from weft.api import frames
from weft.model.errors import ContainerNotRunning

from .conftest import Sandbox, Start, wait_for_log

_ATTACH = "import sys; from weft.api.console import attach; sys.exit(attach(sys.argv[1], sys.argv[2] == 'tty'))"


def attach_command(sandbox: Sandbox, mode: str) -> list[str]:
    return [sys.executable, "-c", _ATTACH, str(sandbox.directory / "console.sock"), mode]


def attach(sandbox: Sandbox, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Attach by pipes, as ``weft run -i`` does in a pipeline."""
    return subprocess.run(attach_command(sandbox, "pipes"), input=data, capture_output=True, timeout=60)


# --- pipes ------------------------------------------------------------------------------------------------------


def test_piped_input(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    done = attach(sandbox, b"hi\n")
    assert (done.stdout, done.stderr, done.returncode) == (b"hi\n", b"", 0)
    assert sandbox.wait() == 0
    assert sandbox.log == "hi\n"


def test_output_and_errors_stay_apart(start: Start) -> None:
    done = attach(start("sh", "-c", "echo out; echo err >&2; exit 3", stdin=True))
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)


def test_much_data_through_a_filter(start: Start) -> None:
    """Neither side waits for the other for ever, nothing is lost, nothing is doubled."""
    data = random.Random(1).randbytes(5_000_000)
    sandbox = start("cat", stdin=True)
    done = attach(sandbox, data)
    assert done.stdout == data
    assert done.returncode == 0
    assert (sandbox.directory / "log").read_bytes() == data


def test_command_that_reads_nothing(start: Start) -> None:
    """More input than any buffer holds does not keep the command from ending."""
    done = attach(start("sh", "-c", "exec <&-; sleep 0.3; echo done", stdin=True), bytes(1_000_000))
    assert (done.stdout, done.returncode) == (b"done\n", 0)


def test_output_before_the_client_came_is_kept_for_it(start: Start) -> None:
    sandbox = start("sh", "-c", "echo early; head -c 300000 /dev/zero; exit 4", stdin=True)
    time.sleep(0.5)
    done = attach(sandbox)
    assert (done.stdout, done.returncode) == (b"early\n" + bytes(300_000), 4)


def test_nobody_attaches(start: Start) -> None:
    """Output goes to the log only, and the end is not held up for more than a moment."""
    sandbox = start("sh", "-c", "head -c 1000000 /dev/zero; exit 4", stdin=True)
    begin = time.monotonic()
    assert sandbox.wait() == 4
    assert time.monotonic() - begin < 5.0
    assert (sandbox.directory / "log").stat().st_size == 1_000_000
    assert not (sandbox.directory / "console.sock").exists()
    with pytest.raises(ContainerNotRunning):
        near_end.attach(str(sandbox.directory / "console.sock"), tty=False)


def test_attaching_to_a_sandbox_that_was_killed(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    sandbox.signal(signal.SIGKILL)
    sandbox.wait()
    with pytest.raises(ContainerNotRunning):
        near_end.attach(str(sandbox.directory / "console.sock"), tty=False)


def test_killing_the_sandbox_ends_the_client(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    client = subprocess.Popen(attach_command(sandbox, "pipes"), stdin=subprocess.PIPE)
    assert client.stdin
    client.stdin.write(b"x")
    client.stdin.flush()
    wait_for_log(sandbox.directory / "log", "x")
    sandbox.signal(signal.SIGKILL)
    assert client.wait(10) == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_signals_to_the_client_go_to_the_command(start: Start, number: int) -> None:
    sandbox = start("sh", "-c", "trap 'exit 9' INT TERM QUIT; echo ready; while :; do sleep 0.02; done", stdin=True)
    client = subprocess.Popen(attach_command(sandbox, "pipes"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.read(6) == b"ready\n"
    client.send_signal(number)
    assert client.wait(10) == 9


def test_two_clients_see_the_same(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = attach_command(sandbox, "pipes")
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        assert first.stdin and first.stdout and second.stdin and second.stdout
        for number, one in enumerate((first, second)):
            # Both are attached once each has got its line to the log.
            one.stdin.write(b"%d\n" % number)  # type: ignore[union-attr]
            one.stdin.flush()  # type: ignore[union-attr]
            wait_for_log(sandbox.directory / "log", f"{number}\n")
        first.stdin.write(b"both\n")
        first.stdin.flush()
        for one in (first, second):
            assert list(iter(one.stdout.readline, b"both\n"))[-1:] == [b"1\n"]  # type: ignore[union-attr]
        first.kill()
        second.stdin.write(b"alone\n")
        second.stdin.close()
        assert second.stdout.read() == b"alone\n"
        assert second.wait(10) == 0


# --- the socket -------------------------------------------------------------------------------------------------


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(sandbox: Sandbox) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(sandbox.directory / "console.sock"))
    return client


def test_only_root_may_connect(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    assert (sandbox.directory / "console.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tty", [False, True])
def test_command_gets_three_descriptors_and_no_more(start: Start, tty: bool) -> None:
    sandbox = start("sleep", "60", stdin=True, tty=tty)
    # The dynamic loader has a library open for a moment.
    wait_until(lambda: sorted(os.listdir(f"/proc/{sandbox.command_pid}/fd")) == ["0", "1", "2"])


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"i\xff\xff\xff\xff", b"s\0\0\0\1\0", b"w\0\0\0\1x"]
)
def test_nonsense_costs_a_client_its_connection_and_nobody_else(start: Start, junk: bytes) -> None:
    sandbox = start("cat", stdin=True)
    with connect(sandbox) as client:
        client.sendall(junk)
        client.settimeout(10)
        assert client.recv(100) == b""
    assert attach(sandbox, b"fine\n").stdout == b"fine\n"


def test_frames_cut_anywhere(start: Start) -> None:
    sandbox = start("cat", stdin=True)
    with connect(sandbox) as client:
        for byte in frames.pack(frames.INPUT, b"abc") + frames.pack(frames.INPUT, b"def\n") + frames.pack(frames.END):
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        received = bytearray()
        while data := client.recv(100):
            received += data
    taken = frames.take(received)
    assert b"".join(payload for kind, payload in taken if kind == frames.OUTPUT) == b"abcdef\n"
    assert taken[-1] == (frames.EXIT, b"\0")


def test_client_that_does_not_read_holds_the_command_up_until_it_leaves(start: Start) -> None:
    """As a terminal that was stopped does; the output is not piled up in memory."""
    sandbox = start("sh", "-c", "head -c 3000000 /dev/zero; echo done", stdin=True)
    with connect(sandbox):
        time.sleep(1.0)
        assert (sandbox.directory / "log").stat().st_size < 1_000_000
        assert sandbox.wait(0.1) is None
    assert sandbox.wait() == 0
    assert (sandbox.directory / "log").stat().st_size == 3_000_005


def test_waiting_costs_no_processor_time(start: Start) -> None:
    """Neither idle, nor with a client that left, nor with a command that closed everything."""
    sandbox = start("sh", "-c", "exec <&- >&- 2>&-; sleep 60", stdin=True)
    connect(sandbox).close()
    with connect(sandbox) as client:
        client.sendall(frames.pack(frames.INPUT, bytes(1000)) * 300)

        def ticks() -> int:
            fields = Path(f"/proc/{sandbox.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        time.sleep(0.3)
        before = ticks()
        time.sleep(1.0)
        assert ticks() - before <= 2  # of a hundred


def test_directory_with_a_path_longer_than_a_socket_address(start: Start, tmp_path: Path) -> None:
    sandbox = start("cat", stdin=True, directory=tmp_path / ("x" * 120) / "s")
    assert attach(sandbox, b"hi").stdout == b"hi"


# --- terminals --------------------------------------------------------------------------------------------------


class Person:
    """Somebody at a terminal in which ``weft.api.console.attach`` runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.keyboard, self.terminal = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(self.terminal)
        self.seen = b""
        # setsid(1) makes the terminal the controlling one, so that a new size is signalled.
        self.client = subprocess.Popen(
            ["setsid", "--ctty", *attach_command(sandbox, "tty")],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + 10
        while text not in self.seen:
            readable, _, _ = select.select([self.keyboard], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"{text!r} did not appear: {self.seen!r}"
            self.seen += os.read(self.keyboard, 65536)

    def end(self) -> int:
        """Wait for the client; check that it leaves the terminal as it was; return its exit code."""
        code = self.client.wait(10)
        assert termios.tcgetattr(self.terminal) == self.before
        return code

    def close(self) -> None:
        self.client.kill()
        self.client.wait()
        os.close(self.keyboard)
        os.close(self.terminal)


Sit = Callable[[Sandbox], Person]


@pytest.fixture
def sit() -> Iterator[Sit]:
    """Sit down at a terminal attached to a sandbox."""
    people: list[Person] = []

    def sit(sandbox: Sandbox) -> Person:
        people.append(Person(sandbox))
        return people[-1]

    yield sit
    for person in people:
        person.close()


def test_a_shell_in_a_terminal(start: Start, sit: Sit) -> None:
    sandbox = start("sh", tty=True, stdin=True, env={"PS1": "$ "})
    person = sit(sandbox)
    person.expect(b"$ ")
    person.type(b"tty; echo $TERM; stty size; ps -o tty= -p $$\r")
    person.expect(b"/dev/pts/")
    person.expect(b"xterm\r\n30 100\r\npts/")
    person.resize(40, 120)
    person.expect(b"$ ")
    time.sleep(0.2)
    person.type(b"stty size; exit 6\r")
    person.expect(b"40 120\r\n")
    assert person.end() == 6
    assert sandbox.wait() == 6
    assert "40 120\r\n" in (sandbox.directory / "log").read_bytes().decode()


def test_interrupt_key_interrupts_the_command_and_not_the_client(start: Start, sit: Sit) -> None:
    sandbox = start(
        "sh", "-c", "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.02; done", tty=True
    )
    person = sit(sandbox)
    person.expect(b"ready")
    person.type(b"\x03")
    person.expect(b"interrupted")
    assert person.end() == 8


def test_end_of_file_key(start: Start, sit: Sit) -> None:
    person = sit(start("sh", "-c", "echo ready; cat; exit 2", tty=True, stdin=True))
    person.expect(b"ready")
    person.type(b"line\r")
    person.expect(b"line\r\nline\r\n")
    person.type(b"\x04")
    assert person.end() == 2


def test_leaving_and_coming_back(start: Start, sit: Sit) -> None:
    """Ctrl-P Ctrl-Q leaves the command running, also when the keys arrive one by one; Ctrl-P alone is a key."""
    sandbox = start("cat", tty=True, stdin=True)
    first = sit(sandbox)
    first.type(b"one\r")
    first.expect(b"one\r\none\r\n")
    first.type(b"a\x10")
    time.sleep(0.1)
    first.type(b"b\r")
    first.expect(b"a\x10b\r\n")
    first.type(b"\x10")
    time.sleep(0.1)
    first.type(b"\x11")
    assert first.end() == 0
    assert sandbox.wait(0.2) is None
    second = sit(sandbox)
    second.type(b"two\r")
    second.expect(b"two\r\ntwo\r\n")
    second.type(b"\x04")
    assert second.end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGKILL, -9)])
def test_command_outlives_its_terminal(start: Start, sit: Sit, number: int, code: int) -> None:
    sandbox = start("sh", "-c", "echo ready; sleep 60", tty=True)
    person = sit(sandbox)
    person.expect(b"ready")
    person.client.send_signal(number)
    if number == signal.SIGKILL:
        assert person.client.wait(10) == code
    else:
        assert person.end() == code
    assert sandbox.wait(0.3) is None


def test_terminal_is_restored_when_the_sandbox_is_killed(start: Start, sit: Sit) -> None:
    sandbox = start("sh", "-c", "echo ready; sleep 60", tty=True)
    person = sit(sandbox)
    person.expect(b"ready")
    sandbox.signal(signal.SIGKILL)
    assert person.end() == 137


def test_the_last_words_before_the_end_are_not_lost(start: Start, sit: Sit) -> None:
    for _ in range(5):
        person = sit(start("sh", "-c", "seq 2000; echo last words", tty=True))
        person.expect(b"last words")
        assert person.end() == 0


def test_command_that_closes_its_terminal_goes_on(start: Start) -> None:
    sandbox = start("sh", "-c", "exec <&- >&- 2>&-; sleep 0.5; exit 3", tty=True)
    assert sandbox.wait() == 3
