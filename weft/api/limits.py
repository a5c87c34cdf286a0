"""What both sides of the API hold each other to."""

from __future__ import annotations

#: The longest body of a request, in bytes.
BODY = 1 << 20
