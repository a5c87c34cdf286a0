"""Where the name servers' files are.

    <state dir>/dns/hosts/<network id>/<endpoint id>    names of one endpoint, read by dnsmasq as they come and go
    <state dir>/dns/kept/<view>.conf                    names outside the view's zones that are answered here alone
    <state dir>/dns/upstream/resolv.conf                the host's own name servers
    <run dir>/dns/<view>.json, <view>.pid, <view>.log   which server runs at which port, as which process; what it says

What dnsmasq reads lies below the state directory and not below the run directory, because dnsmasq gives up root and
the run directory, which holds the API's socket, is closed to others.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from pathlib import Path

from weft.model.errors import InvalidInput

log = logging.getLogger("weft")


class Layout:
    """The paths below one agent's two directories."""

    def __init__(self, state_dir: Path, run_dir: Path) -> None:
        self._state_dir = state_dir
        self.data = state_dir / "dns"
        self.hosts = self.data / "hosts"
        self.kept = self.data / "kept"
        self.upstream = self.data / "upstream" / "resolv.conf"
        self.run = run_dir / "dns"

    def create(self) -> None:
        """Make the directories; what dnsmasq reads can be read by all, and the state directory can be passed."""
        self.run.mkdir(parents=True, exist_ok=True)
        for directory in (self.data, self.hosts, self.kept, self.upstream.parent):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o755)
        self._state_dir.chmod(stat.S_IMODE(self._state_dir.stat().st_mode) | stat.S_IXGRP | stat.S_IXOTH)
        if not self.upstream.exists():
            write(self.upstream, "")

    def network(self, network_id: str) -> Path:
        """Return the directory of a network's names; raise InvalidInput if the id could lead anywhere else."""
        return self.hosts / component(network_id)

    def kept_file(self, key: str) -> Path:
        return self.kept / f"{key}.conf"

    def record_file(self, key: str) -> Path:
        return self.run / f"{key}.json"

    def pid_file(self, key: str) -> Path:
        return self.run / f"{key}.pid"

    def log_file(self, key: str) -> Path:
        return self.run / f"{key}.log"

    def user(self) -> str:
        """Return the user that dnsmasq is to run as: its own, 'nobody' without that, root if neither could read.

        The last is so where a directory above the state directory is closed to others.
        """
        closed = [place for place in self.data.parents if not place.stat().st_mode & stat.S_IXOTH]
        if closed:
            log.warning("dnsmasq keeps running as root, because %s is closed to other users", closed[0])
            return "root"
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "dnsmasq" if "dnsmasq" in names else "nobody"


def component(name: str) -> str:
    """Return ``name`` if it can be the name of a file of ours; raise InvalidInput otherwise.

    A leading dot is refused too: dnsmasq overlooks such files, and new contents are written to one.
    """
    if not name or name[0] in ".#" or name[-1] in "~#" or not name.isascii() or not name.isprintable() or "/" in name:
        raise InvalidInput(f"{name!r} cannot name a file")
    return name


def write(path: Path, content: str) -> None:
    """Write a file that all can read, so that a reader sees all of it or what was there before."""
    fresh = f"{path.parent}/.{path.name}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(descriptor, 0o644)  # whatever the umask is
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
    os.rename(fresh, path)
