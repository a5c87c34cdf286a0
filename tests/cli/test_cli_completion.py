"""Completion: the shell asks weft, and weft knows its commands, its options and the agent's names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ENVIRONMENT, Type


def _complete(line: str, run_dir: Path, tmp_path: Path) -> set[str]:
    """Return what weft answers a shell that asks to complete ``line`` (argcomplete's protocol)."""
    answer = tmp_path / "answer"
    question = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "WEFT_RUN_DIR": str(run_dir),
    }
    subprocess.run([sys.executable, "-m", "weft"], env=ENVIRONMENT | question, check=True, capture_output=True)
    return {word.strip() for word in answer.read_text().split("\n")}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("weft net", {"network"}),
        ("weft network con", {"connect"}),
        ("weft network create --sub", {"--subnet"}),
        ("weft network inspect ", {"app", "none"}),
        ("weft network connect ap", {"app"}),
        ("weft stop ", {"web"}),
        ("weft run --net ap", {"app"}),
        ("weft plan ", {"app", "none", "web"}),
        ("weft ps --format ", {"table", "json"}),
        ("weft completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_what_can_come_next(line: str, words: set[str], run_dir: Path, tmp_path: Path) -> None:
    """Commands, options, choices, and names that the agent knows."""
    assert words <= _complete(line, run_dir, tmp_path)


def test_without_an_agent_there_are_no_names(tmp_path: Path) -> None:
    """And no error in the middle of somebody's typing."""
    assert "web" not in _complete("weft stop ", tmp_path / "nowhere", tmp_path)


def test_bash_completes(run_dir: Path, tmp_path: Path) -> None:
    """A real bash reads the script and asks as it does when Tab is pressed."""
    program = tmp_path / "weft"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m weft "$@"\n')
    program.chmod(0o755)
    script = """
source <(weft completion bash)
COMP_LINE='weft network ins' COMP_POINT=16 COMP_TYPE=9 COMP_WORDS=(weft network ins) COMP_CWORD=2
_python_argcomplete weft ins network
echo "${COMPREPLY[@]}"
"""
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WEFT_RUN_DIR": str(run_dir)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("inspect", "")


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef weft"), ("fish", "complete --command weft")]
)
def test_each_shell_has_its_script(shell: str, mark: str, weft: Type) -> None:
    """In its own language."""
    assert mark in weft("completion", shell).out
