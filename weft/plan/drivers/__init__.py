"""How a container is wired on its host: one file for each way.

A driver is a module-level object with the methods of ``Driver``; ``registry`` finds it by the name that users
give to ``--driver``.
"""
