"""What the tests of the command line share: a way to type, and an agent that notes what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.recording import RecordingAgent, serving
from weft.cli.main import main

#: A fixed environment, so that what a test sees does not depend on who runs it.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C.UTF-8", "COLUMNS": "100"}


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    code: int
    out: str
    err: str


Type = Callable[..., Said]


@pytest.fixture
def agent(tmp_path: Path) -> RecordingAgent:
    return RecordingAgent(tmp_path / "log")


@pytest.fixture
def run_dir(agent: RecordingAgent, tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "run"
    with serving(agent, directory / "weft.sock"):
        yield directory


@pytest.fixture
def weft(run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Carry out a command line in this process, against the agent of the test."""
    monkeypatch.setenv("WEFT_RUN_DIR", str(run_dir))

    def say(*words: str) -> Said:
        try:
            code = main(words, lambda *_: 0)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return say


@pytest.fixture
def program(run_dir: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the real program as a process of its own, against the agent of the test."""

    def start(*words: str, **options: object) -> subprocess.Popen[str]:
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "weft", *words],
            **{
                "env": ENVIRONMENT | {"WEFT_RUN_DIR": str(run_dir)},
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )

    return start
