"""The repository keeps its own rules (those that ruff, mypy and import-linter do not check)."""

from __future__ import annotations

import ast
import getpass
import os
import re
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import weft

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400
#: Folders that are made here but are no part of it, beside the hidden ones.
BUILT = {"__pycache__", "build", "dist"}


def files(pattern: str = "*") -> list[Path]:
    """Return the files of the repository, not what was built or installed beside them."""
    found = []
    for directory, inner, names in os.walk(ROOT):
        inner[:] = sorted(name for name in inner if name == ".ci" or not (name[0] == "." or name in BUILT))
        found += [Path(directory, name) for name in sorted(names) if fnmatch(name, pattern)]
    return found


def modules() -> list[Path]:
    found = files("*.py")
    assert len(found) > 100
    return found


def text_files() -> Iterator[tuple[Path, str]]:
    for path in files():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            assert path.suffix in {".png", ".svg"}, f"{path} is neither text nor a picture"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_module_says_what_it_is_for_and_is_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)) or not text, "no docstring"
    assert text.count("\n") <= LONGEST_FILE


@pytest.mark.parametrize("path", [path for path in modules() if path.is_relative_to(ROOT / "weft")], ids=name)
def test_annotations_are_not_evaluated_at_start(path: Path) -> None:
    """Evaluating them would cost time at every start, and would import what only types need."""
    tree = ast.parse(path.read_text())
    if any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(tree)):
        assert "from __future__ import annotations" in path.read_text()


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    lines = [(name(path), line) for path, text in text_files() for line in text.splitlines()]
    assert [(where, line) for where, line in lines if marks.search(line)] == []


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    words = {socket.gethostname(), str(ROOT), str(Path.home()), f"/home/{getpass.getuser()}"}
    words -= {"", "/", "/root", "localhost", "debian", "vm", "weft"}
    patterns = [re.compile(rf"(?<![\w/.-]){re.escape(word)}(?![\w-])") for word in words]
    found = [(name(path), word.pattern) for path, text in text_files() for word in patterns if word.search(text)]
    assert found == []


def test_lock_files_pin_every_package_and_name_no_index() -> None:
    for path in files("*.lock"):
        text = path.read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text, path
        entries = re.split(r"\n(?=\w)", re.sub(r"^\s+#.*\n?", "", text, flags=re.MULTILINE))
        assert len(entries) > 5
        for entry in entries:
            assert re.match(r"[\w.-]+==[\w.]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n?)+", entry), entry


def test_what_the_program_imports_is_what_is_locked_for_it() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    chosen = {line.split()[0] for line in (ROOT / "requirements/run.in").read_text().splitlines() if line[0] != "#"}
    assert chosen == declared | {"flit_core"}


def test_the_version_is_the_same_everywhere_and_in_the_change_log() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == weft.__version__
    assert f"\n## {weft.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_the_one_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "GPL-2.0-or-later"
    text = (ROOT / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 2, June 1991" in text
    assert "How to Apply These Terms" in text


def test_relative_links_in_the_documents_lead_somewhere() -> None:
    documents = files("*.md")
    assert len(documents) >= 4
    missing = []
    for path in documents:
        prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
            if not (path.parent / target).exists():
                missing.append(f"{name(path)} → {target}")
    assert missing == []


def test_scripts_are_sound_shell() -> None:
    for path in (ROOT / "scripts/setup", ROOT / "scripts/demo", ROOT / ".ci/run"):
        subprocess.run(["bash", "-n", path], check=True)
        assert "\nset -euo pipefail\n" in path.read_text()
        assert path.stat().st_mode & 0o111
