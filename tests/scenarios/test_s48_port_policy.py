"""Host ports are fixed or dynamic: for each port as it is written, and host-wide where it is not."""

from __future__ import annotations

from tests.scenarios.refusals import refusal
from weft.testing.hosts import Host, Outside


def mappings(host: Host, name: str) -> list[tuple[int, int]]:
    """Return (container port, host port) of IPv4."""
    rows = host.api.request("GET", f"/v1/containers/{name}/ports")
    return [(row["container_port"], row["host_port"]) for row in rows if ":" not in row["host_ip"]]


def test_dynamic_is_the_default_and_each_port_can_be_fixed(host: Host, eve: Outside) -> None:
    host.weft("run", "-d", "--name", "web", "-p", "80", "-p", "8080:80", "--", "sleep", "1000")
    (_, dynamic), (_, fixed) = mappings(host, "web")
    assert 49000 <= dynamic <= 49900 and fixed == 8080
    host.inside("web").serve_tcp(80, b"hello")
    assert eve.connect(host.address, dynamic).data == eve.connect(host.address, fixed).data == b"hello"
    host.weft("rm", "-f", "web")


def test_a_fixed_policy_takes_the_containers_own_port(host: Host, eve: Outside) -> None:
    host.restart_agent(config='[ports]\npolicy = "fixed"\nrange = [50000, 50001]\n')
    host.weft("run", "-d", "--name", "web", "-p", "8081", "-p", "9090:8081", "--", "sleep", "1000")
    assert mappings(host, "web") == [(8081, 8081), (8081, 9090)]
    host.inside("web").serve_tcp(8081, b"hello")
    assert eve.connect(host.address, 8081).data == b"hello"
    assert "published by 'web'" in refusal(host, "run", "-d", "--name", "two", "-p", "8081", "--", "sleep", "1000")
    host.weft("rm", "-f", "web")


def test_the_dynamic_range_is_a_setting_and_has_an_end(host: Host) -> None:
    host.restart_agent(config="[ports]\nrange = [50000, 50001]\n")
    host.weft("run", "-d", "--name", "both", "-p", "80", "-p", "81", "--", "sleep", "1000")
    assert sorted(port for _, port in mappings(host, "both")) == [50000, 50001]
    said = refusal(host, "run", "-d", "--name", "none", "-p", "82", "--", "sleep", "1000")
    assert "50000" in said and "50001" in said
    host.weft("rm", "-f", "both")
    host.weft("run", "-d", "--name", "again", "-p", "82", "--", "sleep", "1000")
    assert mappings(host, "again")[0][1] in (50000, 50001)
    host.weft("rm", "-f", "again")


def test_a_policy_that_is_none_is_refused_at_start(host: Host) -> None:
    host.stop_agent()
    host.config.write_text('[ports]\npolicy = "sometimes"\n')
    places = ("--state-dir", host.state_dir, "--run-dir", host.run_dir, "--config", host.config)
    done = host.weft("agent", *places, check=False)
    assert done.returncode == 1
    assert "sometimes" in done.stderr and "ports.policy" in done.stderr
    host.start_agent(config="")
