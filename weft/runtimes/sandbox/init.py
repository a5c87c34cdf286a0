"""The first process of a sandbox: starts the command, passes signals on, buries orphans, keeps the exit code.

The command is not made the first process itself, because the kernel does not deliver a signal to the first process
of a pid namespace unless that has a handler for it (pid_namespaces(7)): few programs handle SIGTERM, and each stop
would take until the SIGKILL that follows.  When this process ends, the kernel kills what is left in the namespace.

Standard library only: the shim imports this file.  ``_signal`` is the C module beneath ``signal``, which imports
``enum``: 4 ms and 0.8 MB for every sandbox.
"""

from __future__ import annotations

import os
import select
import sys

from weft.runtimes.sandbox import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from weft.runtimes.sandbox.console import Console
else:
    import _signal

#: Raised by the kernel because of what this very process did, or about its terminal: not for the command.
_OWN = {
    _signal.SIGCHLD,
    _signal.SIGSEGV,
    _signal.SIGBUS,
    _signal.SIGFPE,
    _signal.SIGILL,
    _signal.SIGPIPE,
    _signal.SIGTTIN,
    _signal.SIGTTOU,
    _signal.SIGTSTP,
}
_SIGINFO_SIZE = 128  # struct signalfd_siginfo, whose first 4 bytes are the signal's number (signalfd(2)).


class Init:
    """Runs one command.  Signals that arrive before it was started are kept and passed on then."""

    def __init__(self) -> None:
        numbers = {int(number) for number in _signal.valid_signals()}
        _signal.pthread_sigmask(_signal.SIG_BLOCK, numbers)
        self._signals = linux.signal_descriptor(numbers)
        self._command = 0
        self._status: int | None = None

    def start(self, command: list[str], env: dict[str, str], files: list[tuple[int, ...]]) -> None:
        """Execute ``command``; ``files`` are file actions of posix_spawn(3).

        It leads a session of its own, with default handling of every signal; all descriptors but 0, 1 and 2 are
        closed in it.  Raises OSError when it cannot be executed, ValueError when it holds a NUL.
        """
        self._command = os.posix_spawnp(
            command[0],
            command,
            env,
            file_actions=files,
            setsid=True,
            setsigmask=(),
            setsigdef=_signal.valid_signals(),
        )

    def run(self, console: Console | None) -> int:
        """Serve until the command ends, end what it left behind, and return its exit code."""
        while self._status is None:
            poller = select.poll()
            poller.register(self._signals, select.POLLIN)
            for descriptor, events in console.interests() if console else ():
                poller.register(descriptor, events)
            for descriptor, _ in poller.poll(console.timeout() if console else None):
                if descriptor == self._signals:
                    self._take_signals()
                elif console:
                    console.serve(descriptor)
            if console:
                self._forward(*console.take_signals())
        self._end_the_others()
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def _take_signals(self) -> None:
        data = os.read(self._signals, 64 * _SIGINFO_SIZE)
        for start in range(0, len(data), _SIGINFO_SIZE):
            number = int.from_bytes(data[start : start + 4], sys.byteorder)
            if number == _signal.SIGCHLD:
                self._reap()
            elif number not in _OWN:
                self._forward(number)

    def _forward(self, *numbers: int) -> None:
        for number in numbers:
            if self._status is None:  # Once reaped, its pid may be another process's.
                os.kill(self._command, number)

    def _reap(self, options: int = os.WNOHANG) -> None:
        """Take the exit status of the children that have ended, orphans included."""
        try:
            while (ended := os.waitpid(-1, options))[0]:
                if ended[0] == self._command:
                    self._status = ended[1]
        except ChildProcessError:
            pass

    def _end_the_others(self) -> None:
        try:  # noqa: SIM105
            os.kill(-1, _signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._reap(options=0)
