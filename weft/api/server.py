"""The API's server: every route of the table as a handler, on a unix socket and on nothing else.

Who may use the API is decided by the socket's owner and mode, before a byte is read.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from weft.agent.facade import AgentFacade
from weft.api.listener import BACKLOG, Listener
from weft.api.problem import MEDIA_TYPE, to_problem
from weft.api.protocol import Protocol
from weft.api.reading import read_body, read_name, read_query
from weft.api.route import Call, Route
from weft.api.routes import ROUTES
from weft.api.workers import Workers
from weft.model.errors import Internal, InvalidInput, NotFound, RequestTooLarge, RequestTooSlow, WeftError

log = logging.getLogger("weft.api")

#: Seconds that requests have to finish when the server stops.
GRACE = 5


def create_app(agent: AgentFacade, workers: Workers | None = None) -> Starlette:
    """Return the API of ``agent`` as an ASGI application."""
    threads = workers or Workers()
    app = Starlette(
        routes=[_starlette_route(route, agent, threads) for route in ROUTES],
        exception_handlers={HTTPException: _no_route},
    )
    app.router.redirect_slashes = False
    app.add_middleware(_RawPath)
    return app


class _RawPath:
    """Routes on the path as it was sent, so that an encoded slash in a name is part of the name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)


def _starlette_route(route: Route, agent: AgentFacade, workers: Workers) -> StarletteRoute:
    async def endpoint(request: Request) -> Response:
        try:
            return await _respond(request, route, agent, workers)
        except WeftError as error:
            return _problem(error, error.status)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:
            log.exception("while answering %s %s", route.method, route.path)
            return _problem(Internal("the agent failed; its log says how"), Internal.status)

    made = StarletteRoute(route.path, endpoint, methods=[route.method], name=route.operation)
    made.methods = {route.method}  # Starlette would add HEAD
    return made


async def _respond(request: Request, route: Route, agent: AgentFacade, workers: Workers) -> Response:
    call = Call(
        name=read_name(request),
        query=read_query(request, route.query),
        body=await read_body(request, route),
        stopping=workers.stopping,
    )
    if route.stream is not None:
        workers.check_room()
    answer = await workers.call(lambda: route.call(agent, call), route.timeout, route.patient)
    if route.stream is not None:
        return StreamingResponse(workers.pull(answer), media_type=route.stream)
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _problem(error: WeftError, status: int, headers: dict[str, str] | None = None) -> Response:
    if isinstance(error, RequestTooLarge | RequestTooSlow):
        # The rest of the body may still be on its way; it is not waited for.
        headers = {"Connection": "close"}
    return Response(to_problem(error, status), status, headers, MEDIA_TYPE)


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer 404 and 405, which Starlette raises."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    if error.status_code == NotFound.status:
        return _problem(NotFound(f"the API has nothing at {path}", "GET /v1/openapi.json lists it."), NotFound.status)
    headers = dict(error.headers) if error.headers else None
    return _problem(InvalidInput(f"{request.method} is not for {path}"), error.status_code, headers)


class Server:
    """The server in a thread of its own, from ``start`` to ``stop``."""

    def __init__(self, agent: AgentFacade, listener: Listener) -> None:
        self._socket = listener.socket
        self._workers = Workers()
        config = uvicorn.Config(
            create_app(agent, self._workers),
            http=Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            backlog=BACKLOG,
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    def start(self) -> None:
        """Begin to answer; requests that came before are waiting in the socket."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being answered, for GRACE seconds at most; callers are refused from now on."""
        self._workers.begin_stop()
        self._uvicorn.should_exit = True
        self._thread.join()
        self._workers.close()

    def _run(self) -> None:
        # Not on the main thread uvicorn leaves signals alone.
        self._uvicorn.run(sockets=[self._socket])


def serve(agent: AgentFacade, listener: Listener) -> None:
    """Serve ``agent`` on ``listener`` until SIGTERM or SIGINT.  Must be called on the main thread."""
    server = Server(agent, listener)
    # The kernel may hand a signal to any thread, and Python's handlers run in the main one, which nothing would wake
    # then.  What is written to this descriptor is written by whichever thread it was.
    reading, wake = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    earlier = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    server.start()
    try:
        os.read(reading, 1)
    finally:
        server.stop()
        signal.set_wakeup_fd(before)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(wake)
