"""The name servers of this host, supervised: one dnsmasq for each view in use.

They are started when the first container needs them, started again when they die, and found again by the next
agent, so that names are answered while there is no agent.  What they know is written by ``publish`` and ``withdraw``
without any process being started or told.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from weft.agent.names import buffers, dnslayout, dnsmasq
from weft.agent.names.dnslayout import Layout
from weft.agent.names.hostentries import HostEntries
from weft.model.base import Record, decode, encode
from weft.model.errors import PortsExhausted, WeftError
from weft.plan.names import FIRST_VIEW_PORT, STANDARD_PORT, HostEntry, NameServer

log = logging.getLogger("weft")

#: Seconds for which names that servers have to be told of are gathered.
GATHER = 0.02
#: Seconds between two starts of a server that keeps dying.
RESTART_INTERVAL = 0.5

#: Seconds between two looks at the servers' logs, and octets that one may have.
LOG_INTERVAL = 60.0
LOG_SIZE = 1 << 18


class Placement(Record):
    """A server and the port that it has: what is remembered of it on disk."""

    server: NameServer
    port: int


class Supervised:
    """A server while it is wanted."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        #: Descriptor of its process, None while it is down.
        self.process: int | None = None
        self.started = 0.0
        #: Whether the last start failed, so that the log tells of it once.
        self.failing = False

    def is_up(self) -> bool:
        return self.process is not None and not dnsmasq.has_ended(self.process)


class ResolverSupervisor:
    """Starts, watches and ends the name servers of one agent.  May be called from any thread in the agent's network
    namespace; ``open`` before anything else."""

    def __init__(self, state_dir: Path, run_dir: Path, program: str = "dnsmasq") -> None:
        self._layout = Layout(state_dir, run_dir)
        self._program = program
        self._user = "root"
        self._entries = HostEntries(self._layout)
        self._lock = threading.Lock()
        self._servers: dict[str, Supervised] = {}
        #: Names outside the zones of their network: network id → endpoint id → names.
        self._outside: dict[str, dict[str, tuple[str, ...]]] = {}
        #: Networks whose servers do not know yet which names they answer alone.
        self._untold: set[str] = set()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="resolver", daemon=True)

    # --- life

    def open(self) -> None:
        """Find the servers that an earlier agent left running, and begin to watch them."""
        self._layout.create()
        self._user = self._layout.user()
        with self._lock:
            for path in self._layout.run.glob("*.json"):
                self._adopt(path)
        self._thread.start()

    def close(self) -> None:
        """Stop watching.  The servers go on answering."""
        self._closing = True
        os.eventfd_write(self._wake, 1)
        if self._thread.is_alive():
            self._thread.join()
        for supervised in self._servers.values():
            if supervised.process is not None:
                os.close(supervised.process)
        self._servers.clear()
        self._epoll.close()
        os.close(self._wake)

    def stop_all(self) -> None:
        """End all servers and forget all names."""
        self.sync((), ())

    # --- servers

    def ensure(self, server: NameServer, about_to_listen: Callable[[int], None] | None = None) -> int:
        """Have ``server`` running and return its port; one that runs as it should costs nothing.

        It answers when this returns.  Its addresses have to be on interfaces of the host.  ``about_to_listen`` is
        called with each port that is tried, before the server listens there: that is when a firewall has to know.
        Raises ResolverFailed, Unsupported where dnsmasq is missing, PortsExhausted.
        """
        key = server.view.key
        with self._lock:
            present = self._servers.get(key)
            if present is None:
                return self._place(server, None, about_to_listen)
            if present.placement.server == server and present.is_up():
                return present.placement.port
            self._stop(key)
            return self._place(server, present.placement.port, about_to_listen)

    def port(self, key: str) -> int | None:
        """Return the port of the server of the view with this key, None if it has none."""
        supervised = self._servers.get(key)
        return supervised.placement.port if supervised else None

    def running(self) -> dict[str, int]:
        """Return the process ids of the servers that run, by the keys of their views."""
        with self._lock:
            processes = {key: s.process for key, s in self._servers.items() if s.process is not None}
            return {key: dnsmasq.pid_of(process) for key, process in processes.items()}

    def release(self, key: str) -> None:
        """End the server of the view with this key; it is no error if there is none."""
        with self._lock:
            self._stop(key)

    def sync(self, servers: Iterable[NameServer], entries: Iterable[HostEntry]) -> None:
        """Have exactly these servers running, and knowing exactly these names.

        A server that cannot be started is logged and tried again; the others are not kept waiting.
        """
        wanted = {server.view.key: server for server in servers}
        published = tuple(entries)
        with self._lock:
            self._outside = {}
            for entry in published:
                self._remember(entry)
            for key in [key for key in self._servers if key not in wanted]:
                self._stop(key)
            for key in self._servers:
                self._keep_names(key)
        networks = {network_id for server in wanted.values() for network_id in server.view.networks}
        self._entries.reconcile(published, networks)
        for server in wanted.values():
            try:
                self.ensure(server)
            except WeftError as error:
                log.error("no names for %s: %s", ", ".join(server.addresses), error)
                self._retry_later(server)

    # --- names

    def publish(self, entry: HostEntry) -> None:
        """Make the names of an endpoint known, in place of those that it had before."""
        self._entries.publish(entry)
        if entry.outside or self._outside.get(entry.network_id, {}).get(entry.endpoint_id):
            with self._lock:
                self._remember(entry)
                self._tell_later(entry.network_id)

    def withdraw(self, network_id: str, endpoint_id: str) -> None:
        """Forget the names of an endpoint; one that has none is no error."""
        self._entries.withdraw(network_id, endpoint_id)
        if self._outside.get(network_id, {}).get(endpoint_id):
            with self._lock:
                self._remember(HostEntry(network_id=network_id, endpoint_id=endpoint_id, lines=()))
                self._tell_later(network_id)

    def forget_network(self, network_id: str) -> None:
        """End the servers of all views that the network is part of, and forget its names."""
        with self._lock:
            for key in [key for key, s in self._servers.items() if network_id in s.placement.server.view.networks]:
                self._stop(key)
            self._outside.pop(network_id, None)
        self._entries.forget_network(network_id)

    def follow_host(self, servers: Iterable[str]) -> None:
        """Say which servers the host itself uses; dnsmasq reads the file again by itself when it changes."""
        content = "".join(f"nameserver {server}\n" for server in servers)
        if self._layout.upstream.read_text() != content:
            dnslayout.write(self._layout.upstream, content)

    def _remember(self, entry: HostEntry) -> None:
        members = self._outside.setdefault(entry.network_id, {})
        members.pop(entry.endpoint_id, None)
        if entry.outside:
            members[entry.endpoint_id] = entry.outside

    def _tell_later(self, network_id: str) -> None:
        """Have the servers of a network told by the watching thread, which does it once for all that come together.

        All names of the network are written then, and read again, for which whoever attaches should not wait.
        """
        self._untold.add(network_id)
        os.eventfd_write(self._wake, 1)

    def _tell_servers_of(self, network_id: str) -> None:
        for key, supervised in self._servers.items():
            if network_id in supervised.placement.server.view.networks:
                self._keep_names(key)

    def _keep_names(self, key: str) -> None:
        """Write which names outside its zones a server answers alone, and have it read them again if they changed.

        ``server=/NAME/`` keeps the name and all below it; the second line gives what is below it back to the
        upstream servers ('#').
        """
        supervised = self._servers[key]
        networks = supervised.placement.server.view.networks
        members = [names for network_id in networks for names in self._outside.get(network_id, {}).values()]
        kept = sorted({name.lower() for names in members for name in names})
        content = "".join(f"server=/{name}/\nserver=/*.{name}/#\n" for name in kept)
        path = self._layout.kept_file(key)
        if not path.exists() or path.read_text() != content:
            dnslayout.write(path, content)
            if supervised.process is not None:
                dnsmasq.send(supervised.process, signal.SIGHUP)

    # --- starting and ending (with the lock held)

    def _adopt(self, record: Path) -> None:
        """Take over the server that ``record`` tells of; one that runs with other options than today's is ended."""
        try:
            placement = decode(record.read_bytes(), Placement)
        except WeftError as error:
            log.warning("%s: %s", record, error)
            self._end_remains(self._layout.pid_file(record.stem))
            record.unlink()
            return
        supervised = Supervised(placement)
        key = placement.server.view.key
        self._servers[key] = supervised
        process = dnsmasq.find(self._layout.pid_file(key))
        if process is not None and dnsmasq.command_of(process) != self._command(placement):
            dnsmasq.stop(process)
        elif process is not None:
            self._supervise(supervised, process)

    def _place(self, server: NameServer, previous: int | None, about_to_listen: Callable[[int], None] | None) -> int:
        """Start ``server`` at the first port that is free, the ``previous`` one if that is; return the port."""
        key = server.view.key
        for port in self._ports(server, previous):
            self._servers[key] = supervised = Supervised(Placement(server=server, port=port))
            # The record comes first: a server that is started by an agent that dies is found by the next.
            dnslayout.write(self._layout.record_file(key), encode(supervised.placement).decode())
            self._keep_names(key)
            try:
                if about_to_listen is not None:
                    about_to_listen(port)
                self._start(supervised)
            except dnsmasq.AddressInUse:
                continue
            except BaseException:
                self._stop(key)
                raise
            return port
        self._stop(key)
        raise PortsExhausted("no port is left for a name server")

    def _retry_later(self, server: NameServer) -> None:
        """Leave a server that could not be started to the watching thread, which tries again and again."""
        with self._lock:
            supervised = Supervised(Placement(server=server, port=next(self._ports(server, None))))
            supervised.failing = True
            self._servers[server.view.key] = supervised
            self._keep_names(server.view.key)
        os.eventfd_write(self._wake, 1)

    def _ports(self, server: NameServer, previous: int | None) -> Iterator[int]:
        """Yield the ports to try: 53 for the view of most containers, else the lowest that no other server has."""
        if previous is not None:
            yield previous
        if server.standard:
            yield STANDARD_PORT
        taken = {supervised.placement.port for supervised in self._servers.values()}
        yield from (port for port in range(FIRST_VIEW_PORT, 1 << 16) if port not in taken)

    def _start(self, supervised: Supervised) -> None:
        """Run a server at its port; raise AddressInUse if somebody else listens there."""
        placement = supervised.placement
        pid_file = self._layout.pid_file(placement.server.view.key)
        for network_id in placement.server.view.networks:
            self._entries.open_network(network_id)
        supervised.started = time.monotonic()
        try:
            process = dnsmasq.start(self._command(placement), pid_file)
        except dnsmasq.AddressInUse:
            if not self._end_remains(pid_file):
                raise
            process = dnsmasq.start(self._command(placement), pid_file)
        buffers.widen(process, dnsmasq.pid_of(process))
        self._supervise(supervised, process)

    def _end_remains(self, pid_file: Path) -> bool:
        """End what is left of a server that was killed; return whether there was anything."""
        remains = dnsmasq.leftovers(pid_file)
        for process in remains:
            dnsmasq.kill(process)
        return bool(remains)

    def _supervise(self, supervised: Supervised, process: int) -> None:
        supervised.process = process
        self._epoll.register(process, select.EPOLLIN)

    def _stop(self, key: str) -> None:
        """End a server, if it runs, and forget that there was one."""
        supervised = self._servers.pop(key, None)
        if supervised is not None and supervised.process is not None:
            self._epoll.unregister(supervised.process)
            dnsmasq.stop(supervised.process)
        layout = self._layout
        for path in (layout.record_file(key), layout.pid_file(key), layout.log_file(key), layout.kept_file(key)):
            path.unlink(missing_ok=True)

    def _command(self, placement: Placement) -> list[str]:
        return dnsmasq.arguments(placement.server, placement.port, self._layout, self._user, self._program)

    # --- watching

    def _watch(self) -> None:
        """Start again what has ended, and keep the logs short, until the supervisor is closed."""
        down = False
        while True:
            self._epoll.poll(RESTART_INTERVAL if down else LOG_INTERVAL)
            if self._closing:
                return
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            if self._untold:
                time.sleep(GATHER)
            with self._lock:
                untold, self._untold = self._untold, set()
                for network_id in untold:
                    self._tell_servers_of(network_id)
                states = [self._revive(supervised) for supervised in self._servers.values()]
            down = not all(states)
            self._cut_logs()

    def _cut_logs(self) -> None:
        """Empty the logs that have grown too long; dnsmasq appends to what is there."""
        for path in self._layout.run.glob("*.log"):
            with suppress(FileNotFoundError):
                if path.stat().st_size > LOG_SIZE:
                    os.truncate(path, 0)

    def _revive(self, supervised: Supervised) -> bool:
        """Start a server again if it has ended; return whether it runs now."""
        if supervised.is_up():
            return True
        addresses = ", ".join(supervised.placement.server.addresses)
        if supervised.process is not None:
            self._epoll.unregister(supervised.process)
            os.close(supervised.process)
            supervised.process = None
            log.warning("the name server of %s has ended; it is started again", addresses)
        if time.monotonic() - supervised.started < RESTART_INTERVAL:
            return False
        try:
            self._start(supervised)
        except WeftError as error:
            if not supervised.failing:
                log.error("no names for %s: %s", addresses, error)
            supervised.failing = True
            return False
        supervised.failing = False
        return True
