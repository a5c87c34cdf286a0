"""weft joins containers into networks, on one host and across hosts."""

__version__ = "0.1.0"
