"""Starts sandboxes, and finds, watches and ends those that this or an earlier agent started.

The launcher remembers nothing: a sandbox is its directory (see files.py).  The launcher takes the lock in it before it
starts the shim, which inherits the lock and holds it until it ends, however it ends.  So there is no moment, wherever
this process may be killed, at which a sandbox runs and is not found.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from weft.agent.launcher import SandboxSpec
from weft.model.base import encode, replace
from weft.model.errors import ContainerRunning, Internal, InvalidInput, KernelRefused, NamespaceNotFound, WeftError
from weft.runtimes.sandbox import files

_SHIM = Path(__file__).with_name("shim.py")
#: How long a sandbox may take to get ready (seconds); it takes some 20 ms on an idle machine.
_START_TIMEOUT = 60.0
#: How long to wait for the end of one that did not get ready and was killed (seconds).
_END_TIMEOUT = 10.0
#: What every command finds in its environment unless it is given otherwise.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
#: Exit code of a sandbox that was ended by SIGKILL and so could not write one.
_KILLED = 128 + signal.SIGKILL
# struct flock of fcntl(2): l_type, l_whence, l_start, l_len, l_pid.
_FLOCK = "hhqqi0q"


class SandboxLauncher:
    """The launcher (weft.agent.launcher.Launcher) that ``weft run`` uses.  May be called from any thread."""

    def start(self, spec: SandboxSpec) -> int:
        """Start the command; return the host pid of the sandbox's first process once the command was executed.

        The pid is 0 when the command was so short that all has ended by then.
        Raises InvalidInput when it cannot be executed, NamespaceNotFound when ``spec.netns`` cannot be opened,
        KernelRefused when files or namespaces cannot be made, ContainerRunning when the directory's sandbox runs.  What
        was made of the directory is removed then; a log that an earlier run left is kept.
        """
        _check(spec)
        directory = Path(spec.directory)
        with _undone_on_error(directory), contextlib.ExitStack() as stack:
            lock = _locked(stack, directory)
            for name in (files.PID, files.EXIT):
                (directory / name).unlink(missing_ok=True)
            complete = replace(spec, env=_environment(spec))
            files.write(spec.directory, files.SPEC, encode(complete).decode())
            netns = _namespace(stack, spec.netns) if spec.netns is not None else None
            log = _opened(stack, directory / files.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            readiness = _start_shim(complete, lock, netns, log)
            stack.close()  # From here on the lock is the shim's alone.
            self._await(readiness, complete)
            return self.pid(directory)

    def _await(self, readiness: _Readiness, spec: SandboxSpec) -> None:
        """Return when the command was executed; otherwise see to it that nothing runs, and raise why."""
        message = ""
        try:
            message = readiness.message(_START_TIMEOUT)
        finally:
            if message != "ok":
                readiness.shim.kill()
                self.signal(Path(spec.directory), signal.SIGKILL)
                self.wait(Path(spec.directory), _END_TIMEOUT)
            readiness.shim.wait()
        if message != "ok":
            raise _error(message, spec)

    def is_running(self, directory: Path) -> bool:
        """Whether the sandbox of that directory runs: from before its first process exists until its last is dead."""
        # When the first process of a namespace ends, it lets go of its files, then waits for the others' end.
        return _is_locked(directory) or self.pid(directory) != 0

    def pid(self, directory: Path) -> int:
        """Return the host pid of the sandbox's first process; 0 if it does not run or is only just starting."""
        try:
            written = (directory / files.PID).read_text()
            pid = written.split()[0]
            return int(pid) if files.identity(pid) == written else 0
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def open_pidfd(self, directory: Path) -> int | None:
        """Return a descriptor that gets readable when the sandbox has ended (pidfd_open(2)), None if it has.

        It refers to the sandbox's first process and to no other that was given the same pid.
        """
        while self.is_running(directory):
            if pid := self.pid(directory):
                with contextlib.suppress(ProcessLookupError):
                    descriptor = os.pidfd_open(pid)
                    if self.pid(directory) == pid:  # It lives, so the pid was its own all the time.
                        return descriptor
                    os.close(descriptor)
            time.sleep(0.005)  # It is starting and has not got as far as writing its pid, or it ends right now.
        return None

    def exit_code(self, directory: Path) -> int | None:
        """Return the exit code: 128 + n for signal n, 137 if it is lost because the sandbox itself was killed.

        None while it runs, and for a directory in which nothing was started.
        """
        if self.is_running(directory):
            return None
        try:
            return int((directory / files.EXIT).read_text())
        except FileNotFoundError:
            return _KILLED if (directory / files.PID).exists() else None

    def wait(self, directory: Path, timeout: float | None = None) -> int | None:
        """Wait for the end, at most ``timeout`` seconds; return the exit code, None if it still runs."""
        # Once its first process has ended, it may be a moment until the one that began it lets go of the lock too.
        while (descriptor := self.open_pidfd(directory)) is not None:
            try:
                if not _readable(descriptor, timeout):
                    return None
            finally:
                os.close(descriptor)
        return self.exit_code(directory)

    def signal(self, directory: Path, number: int) -> None:
        """Send a signal: SIGKILL ends the whole sandbox, every other is passed on to the command."""
        descriptor = self.open_pidfd(directory)
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)


def _check(spec: SandboxSpec) -> None:
    if not spec.command or not spec.command[0]:
        raise InvalidInput("no command was given")
    for name, value in spec.env.items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidInput(f"{name!r} cannot be an environment variable")
    if any("\0" in word for word in spec.command):
        raise InvalidInput("the command holds a NUL character")


def _environment(spec: SandboxSpec) -> dict[str, str]:
    own = {"HOSTNAME": spec.hostname} if spec.hostname else {}
    if spec.tty:
        own["TERM"] = "xterm"
    return {**_ENVIRONMENT, **own, **spec.env}


@contextlib.contextmanager
def _undone_on_error(directory: Path) -> Iterator[None]:
    """Make the directory; when the body fails, remove what it left there."""
    fresh = not directory.exists()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except ContainerRunning:
        raise
    except BaseException as error:
        _clear(directory, fresh)
        if isinstance(error, OSError):
            cause = f"cannot start a sandbox in {directory}: {error.strerror}"
            raise KernelRefused(cause, errno=error.errno) from error
        raise


def _clear(directory: Path, everything: bool) -> None:
    if everything:
        shutil.rmtree(directory, ignore_errors=True)
        return
    for name in (files.SPEC, files.PID, files.EXIT, files.CONSOLE):
        with contextlib.suppress(OSError):
            (directory / name).unlink(missing_ok=True)


def _is_locked(directory: Path) -> bool:
    """Whether somebody holds the lock; asking takes no lock, so nobody who wants it is kept from it."""
    try:
        descriptor = os.open(directory / files.LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))
    finally:
        os.close(descriptor)
    return bool(found[0] != fcntl.F_UNLCK)


def _opened(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, descriptor)
    return descriptor


def _locked(stack: contextlib.ExitStack, directory: Path) -> int:
    """Open and lock the lock.

    The lock belongs to the open file, not to a process (fcntl(2), "Open file description locks"): it is inherited,
    and gone when the last who has the file open has closed it or ended.
    """
    descriptor = _opened(stack, directory / files.LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except BlockingIOError:
        raise ContainerRunning(f"the sandbox in {directory} is running") from None
    return descriptor


def _namespace(stack: contextlib.ExitStack, path: str) -> int:
    try:
        return _opened(stack, Path(path), os.O_RDONLY)
    except OSError as error:
        raise NamespaceNotFound(f"no network namespace at {path}: {error.strerror}") from error


class _Readiness(NamedTuple):
    """A shim that is starting, and the pipe on which it says how that went."""

    shim: subprocess.Popen[bytes]
    pipe: int

    def message(self, timeout: float) -> str:
        """Return what the shim says within ``timeout`` seconds: 'ok', 'STAGE ERRNO SUBJECT', or '' if it died."""
        try:
            return os.read(self.pipe, 4096).decode(errors="replace") if _readable(self.pipe, timeout) else "timeout"
        finally:
            os.close(self.pipe)


def _start_shim(spec: SandboxSpec, lock: int, netns: int | None, log: int) -> _Readiness:
    """Start the shim, in a session of its own and with nothing of this process but the descriptors given."""
    pipe, report = os.pipe2(os.O_CLOEXEC)
    network = "-" if netns is None else str(netns)
    try:
        shim = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SHIM), spec.directory, str(lock), str(report), network],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[descriptor for descriptor in (lock, report, netns) if descriptor is not None],
            cwd="/",
            env={"PATH": spec.env["PATH"]},  # Where posix_spawnp(3) looks for the command.
            start_new_session=True,
        )
    except BaseException:
        os.close(pipe)
        raise
    finally:
        os.close(report)
    return _Readiness(shim, pipe)


def _error(message: str, spec: SandboxSpec) -> WeftError:
    """Turn what a shim that did not get ready said into an error."""
    stage, _, rest = message.partition(" ")
    number, _, subject = rest.partition(" ")
    if stage == "execute":
        return InvalidInput(f"cannot execute {spec.command[0]!r}: {os.strerror(int(number))}", errno=int(number))
    if stage == "isolate":
        cause = f"cannot isolate the sandbox: {os.strerror(int(number))}" + (f" ({subject})" if subject else "")
        return KernelRefused(cause, errno=int(number))
    if stage == "timeout":
        return KernelRefused(f"the sandbox was not ready within {_START_TIMEOUT:.0f} s")
    return Internal(f"the sandbox {spec.id} ended before its command was executed")


def _readable(descriptor: int, timeout: float | None) -> bool:
    """Wait until ``descriptor`` can be read or is closed, at most ``timeout`` seconds; return whether it is."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))
