"""HTTP/1.1 as the server speaks it: uvicorn's, with a deadline for requests and errors in weft's form."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from weft.api.problem import MEDIA_TYPE, to_problem
from weft.model.errors import InvalidInput

#: Seconds that a connection may stay open without a request having arrived whole, to its last header.
PATIENCE = 10.0


class Protocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(PATIENCE, self._check, self.cycle)

    def _check(self, earlier: object) -> None:
        """Close the connection if it has waited for a request since the last check; uvicorn has no limit for that."""
        if self.conn.their_state is h11.IDLE and self.cycle is earlier:
            self.transport.close()
        else:
            self._expect_request()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP (or has more than 64 KiB of headers)."""
        if self.cycle is not None:
            # The handler of a request whose body turned out to be broken has nobody left to answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = to_problem(InvalidInput("this is not an HTTP request that weft can read"), 400)
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
