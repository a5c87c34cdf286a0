"""What stands in a sandbox's directory.

Standard library only, because the shim imports this file:

    spec.json      what was asked for (weft.agent.launcher.SandboxSpec)
    lock           locked for as long as the sandbox runs; the kernel lets go of it when the process ends
    pid            host pid of the sandbox's first process, and what else identifies it (see identity)
    log            standard output and error of the command, one run after the other
    console.sock   with a terminal or piped input: where 'weft run' connects (weft.api.frames)
    exit           exit code of the command, once it has ended
"""

from __future__ import annotations

import os

SPEC = "spec.json"
LOCK = "lock"
PID = "pid"
LOG = "log"
CONSOLE = "console.sock"
EXIT = "exit"


def write(directory: str, name: str, content: str) -> None:
    """Write a file so that readers see all of it or what was there before."""
    path = f"{directory}/{name}"
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        os.rename(path + ".new", path)
    except OSError:
        os.unlink(path + ".new")
        raise


def identity(pid: str) -> str:
    """Return what tells a process from every other, also from a later one with its pid: pid, start time and boot.

    ``pid`` is a directory of /proc, and may be 'self'.  Raises FileNotFoundError or ProcessLookupError when the process
    has ended, be it a zombie still.
    """
    # The name, in parentheses, may hold anything; the state follows it, and 19 fields on the start time (proc(5)).
    start, _, end = read(f"/proc/{pid}/stat").rpartition(")")
    fields = end.split()
    if fields[0] in "ZX":
        raise ProcessLookupError(f"process {pid} has ended")
    return f"{start.split()[0]} {fields[19]} {read('/proc/sys/kernel/random/boot_id').strip()}"


def read(path: str) -> str:
    """Return what is in a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()
