"""The program that becomes a sandbox: ``python -I -S shim.py DIRECTORY LOCK READY NETNS``.

LOCK, READY and NETNS are descriptors: the locked file that says "this sandbox runs", a pipe for telling how the
start went, and the network namespace ('-' for the host's).  Standard output and error are the sandbox's log.

The agent starts it and is not needed from then on: whoever finds the directory finds the sandbox.  Hundreds of these
run on one machine, so this file and those it imports do without ``typing``, ``json``, ``signal``, ``contextlib`` and
whatever else imports half of the standard library.
"""

from __future__ import annotations

import _json
import os
import sys

# With -I -S only the standard library can be imported; weft itself is three directories up.
sys.path.append(__file__.rsplit("/", 4)[0])

from weft.runtimes.sandbox import files, linux
from weft.runtimes.sandbox.init import Init
from weft.runtimes.sandbox.isolation import isolate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from weft.runtimes.sandbox.console import Console


def main(directory: str, lock: int, ready: int, netns: int | None) -> None:
    """Put a child into a new pid namespace, as its first process, and end."""
    for descriptor in (lock, ready, netns):
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
    try:
        linux.unshare(linux.CLONE_NEWPID)
        child = os.fork()
    except OSError as error:
        _fail(directory, ready, "isolate", error)
    if child == 0:
        _be_first(directory, ready, netns)
    os._exit(0)  # Without tidying up: whoever watches waits until this process too has let go of the lock.


def _be_first(directory: str, ready: int, netns: int | None) -> None:
    """The life of the first process."""
    os.setsid()
    os.umask(0o022)
    linux.set_process_name("weft-init")
    # By descriptor, because the mounts to come may hide the path.
    directory = f"/proc/self/fd/{os.open(directory, os.O_PATH | os.O_DIRECTORY)}"
    init = Init()
    # /proc still shows the host's processes, and so this one with its pid on the host.
    files.write(directory, files.PID, files.identity("self"))
    spec = _decode(files.read(f"{directory}/{files.SPEC}"))
    try:
        isolate(netns, spec["netns"], spec["hostname"], spec["files"])
        if netns is not None:
            os.close(netns)
        console = _open_console(directory, spec)
    except OSError as error:
        _fail(directory, ready, "isolate", error)
    try:
        init.start(spec["command"], spec["env"], console.files if console else [])
    except OSError as error:
        _fail(directory, ready, "execute", error)
    if console:
        console.started()
    _report(ready, "ok")
    code = init.run(console)
    try:
        files.write(directory, files.EXIT, str(code))
    finally:
        if console:
            console.finish(code)


def _decode(text: str) -> dict[str, Any]:
    """Return a JSON object, by the C scanner that is beneath ``json``."""
    value: dict[str, Any] = _json.make_scanner(_Json)(text, 0)[0]  # type: ignore[arg-type]
    return value


class _Json:
    """Settings of the scanner, as json.JSONDecoder has them.  ``json`` would cost 7 ms and 0.7 MB."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def _open_console(directory: str, spec: dict[str, Any]) -> Console | None:
    if not (spec["tty"] or spec["stdin"]):
        return None
    from weft.runtimes.sandbox.console import Console
    from weft.runtimes.sandbox.lines import Pipes, Terminal

    return Console(directory, Terminal() if spec["tty"] else Pipes())


def _fail(directory: str, ready: int, stage: str, error: OSError) -> NoReturn:
    """Record and report that the start failed, and end; the codes are those of the engines."""
    code = 125 if stage == "isolate" else 127 if isinstance(error, FileNotFoundError) else 126
    files.write(directory, files.EXIT, str(code))
    _report(ready, f"{stage} {error.errno} {error.filename or ''}")
    os._exit(1)


def _report(ready: int, message: str) -> None:
    """Tell the agent how the start went."""
    try:  # noqa: SIM105
        os.write(ready, message.encode())
    except BrokenPipeError:
        pass  # It died meanwhile; the directory tells the next one.
    os.close(ready)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), None if sys.argv[4] == "-" else int(sys.argv[4]))
