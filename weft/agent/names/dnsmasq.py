"""One dnsmasq process: its command line, its start, and how it is found again.

dnsmasq(8) turns itself into a daemon, and only after it has bound its sockets; when the program that was started
ends, queries are answered.  Being nobody's child, it outlives the agent, which finds it by its pid file.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from weft.agent.names.dnslayout import Layout
from weft.model.errors import ResolverFailed, Unsupported
from weft.plan.names import NameServer

#: Names of other servers' answers that are kept, and queries to them that may be open at a time.
CACHE_SIZE = 10_000
FORWARD_MAX = 1_000

#: Seconds that a start may take, and that an end may take before it is made to.
START_TIMEOUT = 10.0
STOP_TIMEOUT = 1.0

#: Where dnsmasq is looked for: it is in sbin, which an agent's own PATH may lack.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_OWN_NAMESPACE = "/proc/thread-self/ns/net"


class AddressInUse(ResolverFailed):
    """Another program listens at that port of a gateway."""


def arguments(server: NameServer, port: int, layout: Layout, user: str, program: str) -> list[str]:
    """Return the command line for ``server`` at ``port``.

    It binds the gateways' addresses and nothing else (``--bind-interfaces``), and reads no configuration of the
    host's own dnsmasq.
    """
    key = server.view.key
    return [
        program,
        "--conf-file=/dev/null",
        "--no-hosts",
        "--bind-interfaces",
        f"--port={port}",
        f"--user={user}",
        f"--pid-file={layout.pid_file(key)}",
        f"--cache-size={CACHE_SIZE}",
        f"--dns-forward-max={FORWARD_MAX}",
        "--no-ident",
        f"--log-facility={layout.log_file(key)}",  # a syslog that is stuck, or missing, would hold up answers
        *(f"--listen-address={address}" for address in server.addresses),
        *(f"--hostsdir={layout.network(network_id)}" for network_id in server.view.networks),
        *_upstream(server, layout),
    ]


def _upstream(server: NameServer, layout: Layout) -> list[str]:
    """Return the options that say what is asked of whom."""
    if server.view.upstream == ():
        return ["--no-resolv", "--address=/#/"]  # every name that is not known here does not exist
    local = [
        # Names of one label: the first for all types; the second also while the host has no servers, A and AAAA only.
        "--local=//",
        "--domain-needed",
        *(f"--local=/{zone}/" for zone in server.zones),
        *(f"--rev-server={subnet}" for subnet in server.subnets),  # without a server: answered here alone
        f"--servers-file={layout.kept_file(server.view.key)}",
    ]
    if server.view.upstream is None:
        return [f"--resolv-file={layout.upstream}", *local]
    return ["--no-resolv", *(f"--server={address}" for address in server.view.upstream), *local]


def start(command: list[str], pid_file: Path) -> int:
    """Run dnsmasq and return a descriptor of the process (pidfd_open(2)), which answers queries by then.

    It is started in the network namespace of the calling thread.  Raises AddressInUse, ResolverFailed, and Unsupported
    where the program is missing.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": _PATH, "LC_ALL": "C"},  # messages are compared below
            timeout=START_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise Unsupported(f"{command[0]} is missing", "apt install dnsmasq-base") from None
    except subprocess.TimeoutExpired:
        raise ResolverFailed(f"dnsmasq has not started within {START_TIMEOUT:.0f} seconds") from None
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        kind = AddressInUse if "Address already in use" in message else ResolverFailed
        raise kind(message or f"dnsmasq ended with {done.returncode}", _hint(message), command=command)
    process = find(pid_file)
    if process is None:
        raise ResolverFailed("dnsmasq ended as soon as it had started", command=command)
    return process


def _hint(message: str) -> str | None:
    if "inotify" in message:
        return "Raise fs.inotify.max_user_instances: each name server needs one."
    return None


def find(pid_file: Path) -> int | None:
    """Return a descriptor of the running dnsmasq whose pid file this is, None if there is none."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return _open(pid, pid_file)


def command_of(process: int) -> list[str]:
    """Return the command line of the process behind a descriptor, [] if it has ended."""
    pid = pid_of(process)
    return _command(pid) if pid > 0 else []


def leftovers(pid_file: Path) -> list[int]:
    """Return descriptors of all processes of that dnsmasq, also those that answer TCP clients for it.

    These are children of its own and hold its sockets.  They live on for a while when it is killed, and SIGTERM means
    nothing to them.
    """
    numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for pid in numbers if (process := _open(pid, pid_file)) is not None]


def has_ended(process: int, timeout: float = 0.0) -> bool:
    """Whether the process behind a descriptor has ended, or does within ``timeout`` seconds."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def stop(process: int) -> None:
    """End a process, by force if it takes longer than a second, and close its descriptor."""
    send(process, signal.SIGTERM)
    if has_ended(process, STOP_TIMEOUT):
        os.close(process)
    else:
        kill(process)


def kill(process: int) -> None:
    """End a process by force and close its descriptor."""
    send(process, signal.SIGKILL)
    has_ended(process, STOP_TIMEOUT)
    os.close(process)


def send(process: int, number: signal.Signals) -> None:
    """Send a signal; a process that has ended is no error."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)


def _open(pid: int, pid_file: Path) -> int | None:
    """Return a descriptor of process ``pid`` if it is the dnsmasq with that pid file, None if it is another's.

    The number may have been given to any process since it was written.  Ours has our pid file among its arguments
    and is in our network namespace, where no process of a container can be that has one of its own.
    """
    try:
        process = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return None
    try:
        ours = f"--pid-file={pid_file}" in _command(pid) and (
            os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(_OWN_NAMESPACE).st_ino
        )
    except OSError:
        ours = False
    if ours and not has_ended(process):
        return process
    os.close(process)
    return None


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    except OSError:
        return []


def pid_of(process: int) -> int:
    """Return the process id behind a descriptor, -1 if the process has been reaped (proc(5), fdinfo)."""
    for line in Path(f"/proc/self/fdinfo/{process}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1
