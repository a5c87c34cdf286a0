"""The daemon's inside: the attach path, the reconciler, names and files of containers."""
