"""``weft run``: one process in namespaces of its own, which outlives the agent.

    agent (launcher.py)                 keeps nothing of a sandbox in memory
      └─ shim.py                        makes a pid namespace and is gone after 20 ms
           └─ init.py                   first process: the other namespaces (isolation.py), signals, orphans, exit code
                ├─ console.py           with -i or -t only: relays between the command, its log and clients
                └─ the command          and what it starts

A sandbox is a directory (files.py) and what runs; whoever has the directory can watch and end it.  It is restarted by
nobody.

It is no container engine and no jail: the command is root, sees the host's files, stays in the agent's control groups
and under its limits, may execute set-user-id programs (no_new_privs is not set), and no system call is filtered.  What
it cannot do is change its own network or reach into another's: it has the capabilities that Docker leaves to a
container, and sysctls and sysfs are read-only.  An agent that systemd runs needs ``KillMode=process``, or stopping it
ends its sandboxes.
"""
