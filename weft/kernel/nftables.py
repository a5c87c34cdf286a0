"""libnftables in the process (libnftables(3)).

Elements go in and come out as JSON (libnftables-json(5)), so no character of theirs is ever read as syntax.  Tables are
texts: nft 1.0.6 cannot declare all that they hold in JSON.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from weft.model.errors import Unsupported

Command = dict[str, Any]

_LIBRARY = "libnftables.so.1"
# nft_ctx_output_flags of <nftables/libnftables.h>.
_OUTPUT_STATELESS = 1 << 2
_OUTPUT_JSON = 1 << 4
_OUTPUT_TERSE = 1 << 11
#: What the library says when another program changed the rules between its look at them and its transaction.
_BEGIN_ANEW = ("Interrupted system call should be restarted", os.strerror(errno.EINTR))
_ATTEMPTS = 10

#: The library answers in words only, which are those of strerror(3) in the C locale.
_NUMBERS = {
    os.strerror(number): number
    for number in (
        errno.EEXIST,
        errno.ENOENT,
        errno.EBUSY,
        errno.EINVAL,
        errno.EPERM,
        errno.ENOMEM,
        errno.ENFILE,
        errno.EOPNOTSUPP,
        errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT,
    )
}

# Nothing promises that two contexts can work at once, so all of them take turns.
_turn = threading.Lock()


class NftError(Exception):
    """nftables refused a transaction, of which nothing was carried out then."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        #: errno value; EINVAL for a complaint of the library's own.
        self.errno = next((number for reason, number in _NUMBERS.items() if reason in text), errno.EINVAL)


class Nft:
    """A context of the library.  Its netlink socket is in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._library = _load()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def __enter__(self) -> Nft:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        with _turn:
            self._library.nft_ctx_free(self._context)

    def run(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        """Carry out ``commands`` (JSON) as one transaction; return what they list.  Raises NftError."""
        return _objects(self._run(msgspec.json.encode({"nftables": commands}), _OUTPUT_JSON))

    def script(self, text: str) -> str:
        """Carry out ``text`` (nft(8)) as one transaction; return what it lists, without counters and elements of sets.

        Raises NftError.
        """
        return self._run(text.encode(), _OUTPUT_TERSE | _OUTPUT_STATELESS).decode(errors="replace")

    def _run(self, text: bytes, flags: int) -> bytes:
        with _turn:
            self._library.nft_ctx_output_set_flags(self._context, flags)
            for _ in range(_ATTEMPTS):
                failed = self._library.nft_run_cmd_from_buffer(self._context, text)
                # Reading the buffers also empties them, so both are read every time.
                answer: bytes = self._library.nft_ctx_get_output_buffer(self._context)
                complaint = self._library.nft_ctx_get_error_buffer(self._context).decode(errors="replace").strip()
                if not failed:
                    return answer
                if not any(reason in complaint for reason in _BEGIN_ANEW):
                    break
        raise NftError(complaint)


def _objects(answer: bytes) -> list[dict[str, Any]]:
    if not answer:
        return []
    objects: list[dict[str, Any]] = msgspec.json.decode(answer)["nftables"]
    return [found for found in objects if "metainfo" not in found]


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise Unsupported(f"{_LIBRARY} cannot be loaded", "Install libnftables1.", reason=str(error)) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    return library
