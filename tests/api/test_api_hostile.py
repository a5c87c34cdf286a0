"""Whatever is sent, the agent answers with an error of the caller's or hangs up; others are served meanwhile."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.recording import RecordingAgent, serving
from weft.api import protocol, reading
from weft.api.client import Client
from weft.api.routes import ROUTES

#: Every path that takes a body, with a name filled in.
TAKES_A_BODY = [route.path.replace("{name}", "app") for route in ROUTES if route.body is not None]

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
#: Objects whose keys are those that the records have, and whose values are anything.
KNOWN_KEYS = st.sampled_from(
    ["name", "driver", "subnets", "ipv6", "mtu", "options", "labels", "container", "command", "env", "networks", "pid"]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server for all tests of this file, so that what one leaves behind would be seen by the next."""
    directory = tmp_path_factory.mktemp("hostile")
    path = directory / "run" / "weft.sock"
    with serving(RecordingAgent(directory / "log"), path):
        yield path


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.settimeout(20)
    return connection


def _send(path: Path, data: bytes) -> bytes:
    """Send ``data`` as it is and return all that comes back until the agent hangs up."""
    with _connect(path) as connection:
        try:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except (BrokenPipeError, ConnectionResetError):
            return b""


def _request(method: str, path: str, body: bytes, headers: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found, answer
    return int(found[1])


def _problem(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), head
    return json.loads(body)


def _served(path: Path) -> bool:
    begun = time.monotonic()
    Client(path).request("GET", "/v1/networks")
    return time.monotonic() - begun < 2


@FUZZ
@given(path=st.sampled_from(TAKES_A_BODY), body=ANY_JSON | st.dictionaries(KNOWN_KEYS, ANY_JSON, max_size=5))
def test_any_json_is_taken_or_refused(path: str, body: Any, server: Path) -> None:
    """Never an error of the server's."""
    answer = _send(server, _request("POST", path, json.dumps(body).encode()))
    assert _status(answer) in (200, 400)
    if _status(answer) == 400:
        assert _problem(answer)["code"].startswith("invalid-")


@FUZZ
@given(path=st.sampled_from(TAKES_A_BODY), body=st.binary(max_size=300))
def test_any_bytes_as_a_body_are_refused(path: str, body: bytes, server: Path) -> None:
    """What is not JSON is said to be none."""
    assert _status(_send(server, _request("POST", path, body))) == 400


@FUZZ
@given(data=st.binary(min_size=1, max_size=400))
def test_any_bytes_as_a_request_get_an_error_or_nothing(data: bytes, server: Path) -> None:
    """What is not HTTP gets a 400, as soon as that can be told."""
    answer = _send(server, data + b"\r\n\r\n")
    assert _status(answer) == 400
    assert _problem(answer)["code"] == "invalid-input"


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]),
    path=st.sampled_from([route.path for route in ROUTES if route.stream is None and not route.patient]),
    name=st.text(max_size=10).map(lambda text: "".join(f"%{byte:02x}" for byte in text.encode())),
    query=st.text(alphabet="abd_ryunetrue=&%01", max_size=20),
)
def test_any_path_and_query_are_answered(method: str, path: str, name: str, query: str, server: Path) -> None:
    """Odd methods, names of any characters, queries of any form."""
    target = f"{path.replace('{name}', name)}?{query}"
    assert _status(_send(server, _request(method, target, b""))) < 500


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"name":"a"', id="cut off"),
        pytest.param(b'{"name":"a"}{}', id="two"),
        pytest.param(b'{"name":"a","name":"b"}', id="a key twice"),
        pytest.param(b'{"name":"a","labels":{"x":"1","x":"2"}}', id="a key twice inside"),
        pytest.param(b'{"name":"a","nmae":"b"}', id="unknown field"),
        pytest.param(b'{"name":"a","mtu":1e999}', id="infinite"),
        pytest.param(b'{"name":"a","mtu":NaN}', id="NaN"),
        pytest.param(b'{"name":"a","mtu":' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'{"name":"a","mtu":1.5}', id="a fraction"),
        pytest.param(b'{"name":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"name":"\\ud800"}', id="half a character"),
        pytest.param(b'\xff\xfe{\x00"\x00', id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"name":"a"}', id="a byte order mark"),
        pytest.param(b'{"name":"a\nb"}', id="a raw newline"),
        pytest.param(b"[" * 100_000, id="deep list"),
        pytest.param(b'{"labels":' * 50_000, id="deep object"),
        pytest.param(b'{"name":"a","subnets":' + b"[" * 5000 + b"]" * 5000 + b"}", id="deep field"),
    ],
)
def test_malformed_bodies_are_refused(body: bytes, server: Path) -> None:
    """Each with 400 and a code, and never carried out."""
    answer = _send(server, _request("POST", "/v1/networks", body))
    assert _status(answer) == 400
    assert _problem(answer)["code"] == "invalid-input"
    assert _served(server)


def test_a_huge_body_is_refused_before_it_is_kept(server: Path) -> None:
    """64 MiB are cut off at the first; the process does not grow by them."""
    before = _resident()
    huge = 64 << 20
    with _connect(server) as connection:
        connection.sendall(f"POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Length: {huge}\r\n\r\n".encode())
        sent = 0
        try:
            while sent < huge:
                sent += connection.send(bytes(65536))
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < huge
    assert _resident() - before < 16 << 20
    assert _served(server)


def test_a_body_over_the_limit_gets_413(server: Path) -> None:
    """With the code that says so."""
    answer = _send(server, _request("POST", "/v1/networks", b" " * ((1 << 20) + 1)))
    assert _status(answer) == 413
    assert _problem(answer)["code"] == "request-too-large"


def test_huge_headers_are_refused(server: Path) -> None:
    """One of a mebibyte, and two hundred thousand of a few bytes; the caller may be cut off before it has sent them."""
    for headers in ("X: " + "a" * (1 << 20) + "\r\n", "X: a\r\n" * 200_000):
        answer = _send(server, _request("GET", "/v1/networks", b"", headers))
        assert answer == b"" or _status(answer) == 400
    assert _served(server)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            b"POST /v1/networks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad chunk"
        ),
        pytest.param(
            b"POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            id="two lengths",
        ),
        pytest.param(b"POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"GET /v1/networks HTTP/1.1\r\nHost: x\r\nFoo : bar\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET /v1/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", id="NUL in the path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
def test_broken_http_is_refused(data: bytes, server: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the caller's mistake, and without a trace in the log."""
    assert _status(_send(server, data)) in (400, 404)
    assert _served(server)
    assert "Traceback" not in caplog.text


def test_a_websocket_is_not_opened(server: Path) -> None:
    """The request is answered as any other."""
    upgrade = "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    data = f"GET /v1/networks HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n{upgrade}\r\n".encode()
    assert _status(_send(server, data)) == 200


HALVES = [
    b"",
    b"POST /v1/networks HT",
    b"POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Le",
    b'POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"name":',
]


def test_requests_that_are_never_finished_do_not_stop_others(server: Path) -> None:
    """Two hundred connections, each stuck somewhere else."""
    stuck = []
    for number in range(200):
        connection = _connect(server)
        connection.sendall(HALVES[number % len(HALVES)])
        stuck.append(connection)
    assert _served(server)
    for connection in stuck:
        connection.close()
    assert _served(server)


def test_requests_that_are_never_finished_are_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time that a request has; one whose headers were whole learns why."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.3)
    monkeypatch.setattr(reading, "PATIENCE", 0.3)
    path = tmp_path / "run" / "weft.sock"
    with serving(RecordingAgent(tmp_path / "log"), path):
        answers = [_send(path, half) for half in HALVES]
    assert answers[:3] == [b"", b"", b""]
    assert _status(answers[3]) == 408
    assert _problem(answers[3])["code"] == "request-too-slow"


def test_a_connection_that_is_kept_open_is_served_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is for requests that do not come, not for connections that are used."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.3)
    path = tmp_path / "run" / "weft.sock"
    with serving(RecordingAgent(tmp_path / "log"), path), _connect(path) as connection:
        for _ in range(10):
            connection.sendall(b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200 and answer.read()
            time.sleep(0.1)


def test_a_slow_answer_outlives_the_deadline_for_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that has arrived may take longer than it had to arrive."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.1)
    agent = RecordingAgent(tmp_path / "log")
    agent.hold = threading.Event()
    path = tmp_path / "run" / "weft.sock"
    with serving(agent, path) as client:
        threading.Timer(0.5, agent.hold.set).start()
        assert client.request("GET", "/v1/status")["networks"] == 2


def test_callers_that_hang_up_leave_nothing_behind(server: Path) -> None:
    """Descriptors and threads are as many after five hundred of them as before."""
    _served(server)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(500):
        connection = _connect(server)
        connection.sendall(_request("GET", "/v1/networks", b"")[: 5 + number % 60])
        connection.close()
    _eventually(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
    assert _served(server)


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
