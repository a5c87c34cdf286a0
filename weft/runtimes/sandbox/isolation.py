"""What a sandbox sees of the machine: its own network, host name, processes and a few files.

It shares the host's file system and keeps root's rights over it: this is a process in namespaces, not a jail.
One thing is held tight: it cannot change its own network, neither by capability, nor by sysctl, nor by sysfs.
Standard library only: the shim imports this file.
"""

from __future__ import annotations

import errno
import os

from weft.runtimes.sandbox import linux

#: The capabilities that Docker leaves to a container (moby: oci/caps/defaults.go), by number
#: (linux/capability.h).  NET_RAW is among them, so ping works; NET_ADMIN and SYS_ADMIN are not.
CAPABILITIES = frozenset(
    {
        0,  # CHOWN
        1,  # DAC_OVERRIDE
        3,  # FOWNER
        4,  # FSETID
        5,  # KILL
        6,  # SETGID
        7,  # SETUID
        8,  # SETPCAP
        10,  # NET_BIND_SERVICE
        13,  # NET_RAW
        18,  # SYS_CHROOT
        27,  # MKNOD
        29,  # AUDIT_WRITE
        31,  # SETFCAP
    }
)

#: Root may write these without any capability, and they reach beyond the sandbox or into its network (the list is
#: runc's readonlyPaths).
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_HARMLESS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def isolate(netns: int | None, netns_path: str | None, hostname: str, files: dict[str, str]) -> None:
    """Move the calling process, the first of its pid namespace, into namespaces of its own and furnish them.

    ``netns`` is a descriptor of the network namespace (None: the host's), ``files`` maps targets to sources.
    Raises OSError.
    """
    if netns is not None:
        linux.setns(netns, linux.CLONE_NEWNET)
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWUTS)
    # Slave: what is mounted in here stays in here, and what the host unmounts goes in here too, so that a
    # sandbox does not keep a disk or a namespace busy.
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_SLAVE)
    _leave_namespaces(netns_path or "")
    if hostname:
        linux.set_host_name(hostname)
    _mount_sys()
    _lay_files(files)
    _mount_proc()
    linux.keep_capabilities(CAPABILITIES)


def _leave_namespaces(netns_path: str) -> None:
    """Detach directories that hold the other sandboxes' namespaces.

    Each sandbox would hold a copy of the mount of every other: a million of them for a thousand sandboxes.
    """
    own = os.path.dirname(netns_path)
    for directory in {"/run/netns", own} if os.path.basename(own) == "netns" else {"/run/netns"}:
        try:  # noqa: SIM105
            linux.unmount(directory, linux.MNT_DETACH)
        except OSError:
            pass  # It is no mount point.


def _mount_proc() -> None:
    """Show the processes of this pid namespace in /proc."""
    linux.mount("proc", "/proc", "proc", _HARMLESS)
    for path in filter(os.path.exists, _READ_ONLY):
        linux.mount(path, path, flags=linux.MS_BIND | linux.MS_REC)
        _make_read_only(path)


def _mount_sys() -> None:
    """Show the interfaces of this network namespace in /sys/class/net, and keep the control groups visible.

    On the host's network too: an agent may itself be in a namespace that is not the one /sys was mounted in.
    """
    groups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_CLOEXEC)
    try:
        linux.mount("sysfs", "/sys", "sysfs", _HARMLESS)
        linux.mount(f"/proc/self/fd/{groups}", "/sys/fs/cgroup", flags=linux.MS_BIND | linux.MS_REC)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # That of this namespace is what is mounted there.
        linux.mount("/sys", "/sys", flags=linux.MS_BIND | linux.MS_REC)
    os.close(groups)
    _make_read_only("/sys")


def _make_read_only(path: str) -> None:
    # Of this mount only: the file system itself may be mounted elsewhere (mount(2), "Remounting an existing mount").
    linux.mount("none", path, flags=linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | _HARMLESS)


def _lay_files(files: dict[str, str]) -> None:
    missing = [target for target in files if not os.path.exists(target)]
    for directory in {os.path.dirname(target) for target in missing}:
        _cover(directory)
    for target in missing:
        if os.path.islink(target):  # A mount follows links, so one that leads nowhere has to give way.
            os.unlink(target)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    for target, source in files.items():
        linux.mount(source, target, flags=linux.MS_BIND)


def _cover(directory: str) -> None:
    """Lay an overlay over a directory: changes stay in memory, and the host's file system is not written to."""
    below = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    linux.mount("tmpfs", directory, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755")
    os.mkdir(f"{directory}/upper")
    os.mkdir(f"{directory}/work")
    layers = f"lowerdir=/proc/self/fd/{below},upperdir={directory}/upper,workdir={directory}/work"
    linux.mount("overlay", directory, "overlay", options=layers)
    os.close(below)
