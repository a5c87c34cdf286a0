"""How sandboxes begin and end: exit codes, signals, orphans, logs, commands that cannot be executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weft.agent.launcher import SandboxSpec
from weft.model.errors import ContainerRunning, InvalidInput, KernelRefused, NamespaceNotFound
from weft.runtimes.sandbox import launcher as launcher_module
from weft.runtimes.sandbox.launcher import SandboxLauncher

from .conftest import Start, wait_for_log

# --- exit codes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"), [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -SEGV $$", 139)]
)
def test_exit_code(start: Start, text: str, code: int) -> None:
    sandbox = start("sh", "-c", text)
    assert sandbox.wait() == code
    assert sandbox.launcher.exit_code(sandbox.directory) == code
    assert not sandbox.launcher.is_running(sandbox.directory)


def test_no_exit_code_while_it_runs(start: Start) -> None:
    sandbox = start("sleep", "60")
    assert sandbox.launcher.is_running(sandbox.directory)
    assert sandbox.launcher.exit_code(sandbox.directory) is None
    begin = time.monotonic()
    assert sandbox.launcher.wait(sandbox.directory, 0.2) is None
    assert 0.15 < time.monotonic() - begin < 2.0


def test_directory_in_which_nothing_was_started(launcher: SandboxLauncher, tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        assert not launcher.is_running(directory)
        assert launcher.exit_code(directory) is None
        assert launcher.wait(directory) is None
        assert launcher.pid(directory) == 0
        launcher.signal(directory, signal.SIGTERM)


def test_start_again_in_the_same_directory(start: Start) -> None:
    """The exit code is the last run's; the log goes on."""
    first = start("sh", "-c", "echo one; exit 1")
    assert first.wait() == 1
    second = start("sh", "-c", "echo two; sleep 60", directory=first.directory)
    assert second.launcher.exit_code(second.directory) is None
    wait_for_log(second.directory / "log", "one\ntwo\n")
    second.signal(signal.SIGKILL)
    assert second.wait() == 137


# --- signals ----------------------------------------------------------------------------------------------------


def test_terminate_ends_a_command_without_handlers_at_once(start: Start) -> None:
    """The command is not the first process of its namespace, which would ignore SIGTERM."""
    sandbox = start("sleep", "60")
    begin = time.monotonic()
    sandbox.signal(signal.SIGTERM)
    assert sandbox.wait() == 143
    assert time.monotonic() - begin < 2.0


def test_terminate_reaches_the_commands_handler(start: Start) -> None:
    sandbox = start("sh", "-c", "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for_log(sandbox.directory / "log", "ready")
    sandbox.signal(signal.SIGTERM)
    assert sandbox.wait() == 7
    assert sandbox.log == "ready\nasked\n"


def test_kill_ends_what_ignores_terminate_and_everything_it_started(start: Start) -> None:
    sandbox = start("sh", "-c", "trap '' TERM; sleep 61 & setsid sleep 62 & echo ready; wait; sleep 63")
    wait_for_log(sandbox.directory / "log", "ready")
    processes = namespace_members(sandbox.pid)
    assert len(processes) == 4
    sandbox.signal(signal.SIGTERM)
    assert sandbox.wait(0.3) is None
    sandbox.signal(signal.SIGKILL)
    assert sandbox.wait() == 137
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes - {sandbox.pid})


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "CONT", "WINCH", "RTMIN"])
def test_signals_are_passed_on(start: Start, name: str) -> None:
    code = (
        "import signal, sys\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIG{name}])\n"
        "print('ready', flush=True)\n"
        f"sys.exit(signal.sigtimedwait([signal.SIG{name}], 10) is None)"
    )
    sandbox = start(sys.executable, "-c", code)
    wait_for_log(sandbox.directory / "log", "ready")
    sandbox.signal(getattr(signal, f"SIG{name}"))
    assert sandbox.wait() == 0


def test_command_starts_with_default_signals(start: Start) -> None:
    """What the agent ignores or blocks is nothing to the command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        sandbox = start("cat", "/proc/self/status")
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert sandbox.wait() == 0
    status = dict(line.split(":\t") for line in sandbox.log.splitlines())
    # 32 and 33 are the C library's own and cannot be sent or handled through it.
    assert int(status["SigIgn"], 16) & ~(0b11 << 31) == 0
    assert int(status["SigBlk"], 16) == 0


def test_signal_after_the_end_is_no_error(start: Start) -> None:
    sandbox = start("true")
    assert sandbox.wait() == 0
    sandbox.signal(signal.SIGTERM)


# --- the first process ------------------------------------------------------------------------------------------


def namespace_members(pid: int) -> set[int]:
    """Return the host pids of the processes in the pid namespace of ``pid``'s children."""
    wanted = os.readlink(f"/proc/{pid}/ns/pid")
    members = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == wanted:
                members.add(int(entry.name))
        except OSError:
            continue
    return members


def test_orphans_are_reaped(start: Start) -> None:
    """Fifty processes whose parents die before them leave no zombies."""
    sandbox = start(
        "sh", "-c", "for i in $(seq 50); do (sleep 0.1 & ) ; done; sleep 0.5; echo ready; exec sleep 60"
    )  # fmt: skip
    wait_for_log(sandbox.directory / "log", "ready")
    assert namespace_members(sandbox.pid) == {sandbox.pid, sandbox.command_pid}


def test_what_the_command_leaves_running_ends_with_it(start: Start) -> None:
    sandbox = start("sh", "-c", "setsid sleep 61 & sleep 0.2; exit 4")
    others = namespace_members(sandbox.pid) - {sandbox.pid}
    assert sandbox.wait() == 4
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)


def test_killing_the_first_process_ends_all_and_the_exit_code_is_137(start: Start) -> None:
    sandbox = start("sleep", "61")
    command = sandbox.command_pid
    os.kill(sandbox.pid, signal.SIGKILL)
    assert sandbox.wait() == 137
    assert not Path(f"/proc/{command}").exists()


def test_the_command_cannot_kill_the_first_process(start: Start) -> None:
    sandbox = start("sh", "-c", "kill -KILL 1; echo alive")
    assert sandbox.wait() == 0
    assert sandbox.log == "alive\n"


def test_a_sandbox_is_small(start: Start) -> None:
    """Hundreds run on one machine: the first process holds under 9 MB, most of which it shares."""
    sandbox = start("sleep", "60")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{sandbox.pid}/status").read_text().splitlines())
    assert int(status["VmRSS"].split()[0]) < 9 * 1024


# --- logs -------------------------------------------------------------------------------------------------------


def test_log_holds_both_streams_in_order(start: Start) -> None:
    sandbox = start("sh", "-c", "echo one; echo two >&2; echo three")
    assert sandbox.wait() == 0
    assert sandbox.log == "one\ntwo\nthree\n"
    assert (sandbox.directory / "log").stat().st_mode & 0o777 == 0o600


def test_standard_input_is_empty(start: Start) -> None:
    assert start("cat").wait() == 0


# --- what cannot start ------------------------------------------------------------------------------------------


def executable(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o755)
    return str(path)


def test_command_that_does_not_exist(start: Start, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^cannot execute 'no-such-thing': No such file or directory$"):
        start("no-such-thing", "x", directory=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_command_that_is_no_program(start: Start, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("echo")
    with pytest.raises(InvalidInput, match="Permission denied"):
        start(str(plain))
    with pytest.raises(InvalidInput, match="Permission denied"):
        start("/etc")
    with pytest.raises(InvalidInput, match="Exec format error"):
        start(executable(tmp_path / "garbage", "\0\1\2"))
    with pytest.raises(InvalidInput, match="Argument list too long"):
        start("true", "x" * 200_000)


def test_command_is_looked_up_in_its_own_path(start: Start, tmp_path: Path) -> None:
    executable(tmp_path / "sb-own", "#!/bin/sh\nexit 9\n")
    assert start("sb-own", env={"PATH": str(tmp_path)}).wait() == 9
    with pytest.raises(InvalidInput):
        start("sb-own")


@pytest.mark.parametrize(
    ("command", "env"),
    [((), {}), (("",), {}), (("a\0b",), {}), (("true", "\0"), {}), (("true",), {"": "x"}), (("true",), {"A=B": "x"}),
     (("true",), {"A": "\0"})],
)  # fmt: skip
def test_nonsense_is_refused(start: Start, tmp_path: Path, command: tuple[str, ...], env: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        start(*command, env=env, directory=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_text_of_any_kind_reaches_the_command_as_it_is(start: Start) -> None:
    words = ["--", "a b", "'\"", "$(id)", "\n", "grün", "\U0001f9f5", "\\", "\x7f\x01", ""]
    sandbox = start("printf", "%s|", *words, env={"LC_ALL": "C"})
    assert sandbox.wait() == 0
    assert sandbox.log == "".join(word + "|" for word in words)


def test_namespace_that_is_missing_or_is_none(start: Start, tmp_path: Path) -> None:
    with pytest.raises(NamespaceNotFound):
        start("true", netns="/run/netns/sb-none", directory=tmp_path / "s")
    with pytest.raises(KernelRefused, match="cannot isolate the sandbox: Invalid argument"):
        start("true", netns="/etc/hosts", directory=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_source_file_that_is_missing(start: Start, tmp_path: Path) -> None:
    with pytest.raises(KernelRefused, match=r"No such file or directory \(/etc/hosts\)"):
        start("true", files={"/etc/hosts": str(tmp_path / "none")})


def test_disk_that_is_full(start: Start, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "sb", full], check=True)
    try:
        with pytest.raises(KernelRefused, match="No space left on device"):
            start("true", directory=full, env={"A": "x" * 10_000})
        assert os.listdir(full) == ["lock"]
    finally:
        subprocess.run(["umount", full], check=True)


def test_failure_keeps_the_log_of_earlier_runs(start: Start) -> None:
    sandbox = start("echo", "one")
    sandbox.wait()
    with pytest.raises(InvalidInput):
        start("no-such-thing", directory=sandbox.directory)
    assert sorted(os.listdir(sandbox.directory)) == ["lock", "log"]
    assert sandbox.log == "one\n"


def test_second_start_while_it_runs_is_refused_and_harmless(start: Start) -> None:
    sandbox = start("sleep", "60")
    with pytest.raises(ContainerRunning):
        start("true", directory=sandbox.directory)
    assert sandbox.launcher.pid(sandbox.directory) == sandbox.pid
    assert sandbox.launcher.is_running(sandbox.directory)


@pytest.mark.parametrize("interrupted", [False, True])
def test_start_that_takes_too_long_or_is_interrupted_leaves_nothing(
    launcher: SandboxLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    def not_ready(*_: object) -> bool:
        monkeypatch.undo()
        if interrupted:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(launcher_module, "_readable", not_ready)
    directory, marker = tmp_path / "s", tmp_path / "marker"
    command = ("sh", "-c", f"sleep 1; touch {marker}")
    with pytest.raises(KeyboardInterrupt if interrupted else KernelRefused):
        launcher.start(SandboxSpec(id="s", directory=str(directory), netns=None, hostname="", command=command))
    assert not directory.exists()
    time.sleep(1.5)
    assert not marker.exists()


def test_nothing_is_left_open_in_the_agent(start: Start) -> None:
    def descriptors() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    before = descriptors()
    sandbox = start("true")
    sandbox.wait()
    sandbox.signal(signal.SIGTERM)
    with pytest.raises(InvalidInput):
        start("no-such-thing")
    with pytest.raises(NamespaceNotFound):
        start("true", netns="/none")
    assert descriptors() == before
    # No child is left unreaped either.
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "Z" in subprocess.getoutput(f"ps -o stat= -p {pid}")]


def test_fifty_at_once(start: Start) -> None:
    """Fifty threads start one each: all run, all can be ended."""
    with ThreadPoolExecutor(50) as pool:
        sandboxes = list(pool.map(lambda _: start("sleep", "60"), range(50)))
    assert all(sandbox.launcher.is_running(sandbox.directory) for sandbox in sandboxes)
    assert len({sandbox.pid for sandbox in sandboxes}) == 50
    for sandbox in sandboxes:
        sandbox.signal(signal.SIGTERM)
    assert {sandbox.wait() for sandbox in sandboxes} == {143}
