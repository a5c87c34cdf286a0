"""One agent for each network namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from weft.kernel.sole import Sole
from weft.model.errors import AgentRunning
from weft.testing.hosts import Hosts


def test_a_second_agent_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    with Sole(tmp_path), pytest.raises(AgentRunning, match="another agent, pid"), Sole(tmp_path):
        pass
    with Sole(tmp_path):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_even_with_directories_of_its_own(tmp_path: Path) -> None:
    """Otherwise it would take the first one's bridges and rules for leftovers and remove them."""
    with Hosts() as hosts:
        host, other = hosts.host("h1", hosts.lan()), hosts.host("h2", hosts.lan("203.0.113.0/24"))
        host.start_agent()
        other.start_agent()  # another namespace
        places = ("--state-dir", tmp_path / "state", "--run-dir", tmp_path / "run")
        done = host.weft("agent", *places, check=False)
        assert done.returncode == 1 and f"pid {host.agent.pid if host.agent else 0}" in done.stderr
        assert "weft0" in host.interfaces()
        host.restart_agent(kill=True)
