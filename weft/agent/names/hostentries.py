"""The names that the name servers know, one small file for each endpoint.

dnsmasq watches the directories by inotify (``--hostsdir``): a file that is renamed into one is read at once, and the
names of one that is removed are forgotten.  It looks at inotify before it looks at queries, so whoever asks after
``publish`` has returned gets the new answer.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from weft.agent.names import dnslayout
from weft.agent.names.dnslayout import Layout
from weft.model.errors import InvalidName
from weft.plan.names import HostEntry


class HostEntries:
    """Writes and removes the files.  May be called from any thread, for one endpoint from one at a time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def publish(self, entry: HostEntry) -> None:
        """Make the entry's names known in place of what the endpoint was called before; raise InvalidName.

        What is known already is not written again.
        """
        path = self._path(entry.network_id, entry.endpoint_id)
        content = _content(entry)
        if _held(path) == content:
            return
        try:
            dnslayout.write(path, content)
        except FileNotFoundError:
            self.open_network(entry.network_id)
            dnslayout.write(path, content)

    def withdraw(self, network_id: str, endpoint_id: str) -> None:
        """Forget an endpoint's names; one that has none is no error."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(network_id, endpoint_id))

    def open_network(self, network_id: str) -> None:
        """Make the network's directory if there is none."""
        directory = self._layout.network(network_id)
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)

    def forget_network(self, network_id: str) -> None:
        """Remove the network's directory with everything in it."""
        shutil.rmtree(self._layout.network(network_id), ignore_errors=True)

    def reconcile(self, entries: Iterable[HostEntry], networks: Collection[str]) -> None:
        """Make the files those of ``entries`` and no others.

        The directories of ``networks`` stay, empty or not, because running servers watch them.
        """
        wanted: dict[str, dict[str, HostEntry]] = {}
        for entry in entries:
            wanted.setdefault(entry.network_id, {})[entry.endpoint_id] = entry
        for directory in self._layout.hosts.iterdir():
            for path in directory.iterdir():
                if path.name not in wanted.get(directory.name, {}):
                    path.unlink()
            if directory.name not in networks and directory.name not in wanted:
                directory.rmdir()
        for members in wanted.values():
            for entry in members.values():
                self.publish(entry)

    def _path(self, network_id: str, endpoint_id: str) -> Path:
        return self._layout.network(network_id) / dnslayout.component(endpoint_id)


def _held(path: Path) -> str | None:
    try:
        return path.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _content(entry: HostEntry) -> str:
    """Return the file's text; raise InvalidName where a line could be read as anything but one line of names."""
    for line in entry.lines:
        if not line.isascii() or not line.isprintable() or "#" in line:
            raise InvalidName(f"{line!r} cannot stand in a hosts file", endpoint=entry.endpoint_id)
    return "".join(f"{line}\n" for line in entry.lines)
