"""Ending and removing what plays machines: processes, mounted namespaces, directories.

Everything hangs on one directory for each test process, ``wt-<pid>-<random>``: namespaces are bound to files in it, and
a process belongs to the test when the network namespace that it is in is bound there.  So what a killed test left
behind can be told, and swept, without asking anybody.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from weft.kernel import syscalls

PREFIX = "wt-"
#: Named namespaces are here as well, so that 'ip netns' knows them.
NETNS = Path("/run/netns")
#: Seconds until a killed process has to be gone.
PATIENCE = 10.0


def bound_below(directory: Path) -> dict[str, int]:
    """Return the namespaces bound to files below ``directory``, as path → inode."""
    return {path: inode for path, inode in bound().items() if path.startswith(f"{directory}/")}


def bound() -> dict[str, int]:
    """Return all bound network namespaces, as path → inode (proc_pid_mountinfo(5): root is 'net:[inode]')."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        root, mount_point = line.split()[3:5]
        match = re.fullmatch(r"net:\[(\d+)\]", root)
        if match:
            # Blanks and the like in paths are octal there; ours have none.
            found[mount_point] = int(match[1])
    return found


def inside(inodes: Iterable[int]) -> dict[int, str]:
    """Return the processes that are in one of the network namespaces, as pid → command line."""
    wanted = set(inodes)
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile, or is a zombie
            if os.stat(f"/proc/{entry}/ns/net").st_ino in wanted:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                found[int(entry)] = b" ".join(words).decode(errors="replace")
    found.pop(os.getpid(), None)
    return found


def kill_inside(inodes: Iterable[int]) -> None:
    """Kill the processes in the namespaces, and wait until there are none; raise TimeoutError if some stay."""
    wanted = set(inodes)
    deadline = time.monotonic() + PATIENCE
    while running := inside(wanted):
        if time.monotonic() > deadline:
            raise TimeoutError(f"these processes do not end: {running}")
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def remove(directory: Path) -> None:
    """Kill what runs in the namespaces bound below ``directory``, unbind them, and remove it."""
    spaces = bound_below(directory)
    kill_inside(spaces.values())
    for path in spaces:
        with suppress(FileNotFoundError):
            syscalls.umount(path, syscalls.MNT_DETACH)
    shutil.rmtree(directory)


def sweep(base: Path) -> list[str]:
    """Remove what test processes left in ``base`` that have died since; return the names of what was removed."""
    removed = []
    for entry in base.glob(f"{PREFIX}*"):
        match = re.fullmatch(rf"{PREFIX}(\d+)-\w+", entry.name)
        if match and not Path("/proc", match[1]).exists():
            remove(entry)
            removed.append(entry.name)
    for link in NETNS.glob(f"{PREFIX}*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
    return removed
