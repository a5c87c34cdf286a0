"""N13: what an agent with many endpoints costs while nothing happens: memory and processor time.

    python -m benchmarks.memory [--endpoints 1000] [--seconds 60] [--json]

Memory is what is resident of the agent (VmRSS of proc_pid_status(5)); beside it stands what its name server takes.
Where there is a Docker, it is measured as well, without any container.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.harness import Result, main
from benchmarks.peers import Docker, Weft, search_path
from weft.testing import sweep
from weft.testing.hosts import Hosts

#: Seconds until what was started by attaching has come to rest.
_REST = 10.0


def _resident(pid: int) -> float:
    """Return the resident memory of a process, in MB (10⁶ octets)."""
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return round(int(kilobytes) * 1024 / 1e6, 1)


def _processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used (proc_pid_stat(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _idle(pid: int, seconds: float) -> float:
    """Return the share of one processor (per cent) that a process takes during the next ``seconds``."""
    before = _processor_time(pid)
    time.sleep(seconds)
    return round((_processor_time(pid) - before) / seconds * 100, 2)


def measure(endpoints: int, seconds: float) -> Result:
    """Measure the agent alone, and then with its endpoints."""
    with Hosts() as hosts:
        host = hosts.host("h1", hosts.lan())
        side = Weft(host)
        assert host.agent is not None
        empty = _resident(host.agent.pid)
        side.prepare(endpoints)
        for number in range(endpoints):
            side.attach(number)
        time.sleep(_REST)
        servers = [pid for pid, command in sweep.inside([host.inode]).items() if "dnsmasq" in command.split()[0]]
        result: Result = {
            "endpoints": endpoints,
            "empty_mb": empty,
            "resident_mb": _resident(host.agent.pid),
            "idle_percent": _idle(host.agent.pid, seconds),
            "name_servers_mb": round(sum(map(_resident, servers)), 1),
            "seconds": seconds,
        }
        if all(shutil.which(name, path=search_path()) for name in Docker.programs):
            result["docker_empty_mb"] = _docker(hosts)
    return result


def _docker(hosts: Hosts) -> float:
    """Return the memory of dockerd and the containerd that it starts, without a container."""
    host = hosts.host("docker", hosts.lan("203.0.113.0/24"))
    docker = Docker(host)
    time.sleep(_REST)
    total = 0.0
    for pid in sweep.inside([host.inode]):
        with suppress(OSError, ValueError):
            total += _resident(pid)
    docker.close()
    return round(total, 1)


if __name__ == "__main__":
    main("N13: memory and idle processor time of an agent", measure, endpoints=1000, seconds=60.0)
