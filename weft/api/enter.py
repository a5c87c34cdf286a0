"""How ``weft exec`` gets a command into a container.

Standard library only.  The outcome is a command line of nsenter(1), setpriv(1) and env(1), all of them in every
distribution (util-linux, coreutils), which the caller executes and a person could type.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from weft.model.errors import ContainerNotRunning


def exec_argv(pid: int, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
    """Return what runs ``command`` in the network, mount, UTS and pid namespaces of process ``pid``.

    It gets no more capabilities than that process may have, and the environment of the sandbox's command with ``env``
    on top.  Raises ContainerNotRunning when there is no such process.
    """
    try:
        capabilities = _capabilities(pid)
        variables = {**_environment(pid), **(env or {})}
    except (FileNotFoundError, ProcessLookupError):
        raise ContainerNotRunning(f"process {pid} of the container is gone", pid=pid) from None
    kept = ",".join(["-all", *(f"+cap_{number}" for number in capabilities)])
    return [
        *("nsenter", "--target", str(pid), "--net", "--mount", "--uts", "--pid", "--"),
        *("setpriv", "--bounding-set", kept, "--"),
        *("env", "--ignore-environment", "--", *(f"{name}={value}" for name, value in variables.items())),
        *command,
    ]


def _capabilities(pid: int) -> list[int]:
    """Return the numbers of the capabilities in the bounding set of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    mask = int(fields["CapBnd"], 16)
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


def _environment(pid: int) -> dict[str, str]:
    """Return the environment of the first process that ``pid`` has started, else of itself.

    The first process of a sandbox is not the command but starts it (weft.runtimes.sandbox.init).
    """
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = file.read().split()
    with open(f"/proc/{children[0] if children else pid}/environ", encoding="utf-8", errors="surrogateescape") as file:
        for _ in range(20):
            if content := file.read():
                break
            time.sleep(0.001)  # While it is being executed, the kernel has not put its environment in place.
    return dict(item.split("=", 1) for item in content.split("\0") if "=" in item)
