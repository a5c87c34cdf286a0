"""The commands: their names, what they do in a line, and the module that does it.

The module is imported when its command is typed, and otherwise not: starting up is most of what a short command costs.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):  # a dataclass would take longer to import than all the rest of the command line
    """A command.  Its module has ``EXAMPLES``, ``configure(parser)`` and ``execute(args, context)``.

    A command with ``children`` is only the first word of theirs and has no module.
    """

    name: str
    summary: str
    module: str = ""
    children: tuple[Command, ...] = ()


NETWORK_COMMANDS = (
    Command("create", "create a network", "network_create"),
    Command("ls", "list the networks and the modes", "network_ls"),
    Command("inspect", "show networks as JSON", "network_inspect"),
    Command("rm", "remove networks", "network_rm"),
    Command("prune", "remove the networks that no container is on", "network_prune"),
    Command("connect", "bring a container onto a network, live", "network_connect"),
    Command("disconnect", "take a container off a network, live", "network_disconnect"),
)

COMMANDS = (
    Command("network", "create, list, change and remove networks", children=NETWORK_COMMANDS),
    Command("run", "start a process in a container of its own", "run"),
    Command("ps", "list the containers", "ps"),
    Command("exec", "run a command inside a container", "exec"),
    Command("logs", "show what a container has written", "logs"),
    Command("stop", "end containers", "stop"),
    Command("start", "start containers that have ended", "start"),
    Command("rm", "remove containers", "rm"),
    Command("port", "list the published ports of a container", "port"),
    Command("attach", "put a namespace that somebody else made on a network", "attach"),
    Command("detach", "take it off its networks again", "detach"),
    Command("cable", "join two containers by a cable of their own", "cable"),
    Command("inspect", "show containers or networks as JSON", "inspect"),
    Command("show", "show what is plugged in where", "show"),
    Command("plan", "show the commands that stand for what the kernel should hold", "plan"),
    Command("status", "show how the agent is", "status"),
    Command("doctor", "examine the host for what weft needs", "doctor"),
    Command("events", "show what happens, as it happens", "events"),
    Command("up", "start the agent in the background", "up"),
    Command("down", "stop the agent", "down"),
    Command("agent", "be the agent, in the foreground", "agent"),
    Command("completion", "print the completion script for a shell", "completion"),
    Command("version", "show the version of weft and of the agent", "version"),
)
