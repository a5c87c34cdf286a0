"""A hosts file or resolv.conf that somebody edits in a running container keeps the edit until its restart."""

from __future__ import annotations

import pytest

from tests.scenarios.waiting import eventually
from weft.testing.hosts import Host


@pytest.fixture
def web(host: Host) -> str:
    """A container with IPv4 and IPv6, linked to another."""
    if "app" not in {network["name"] for network in host.weft_json("network", "ls", "--format", "json")}:
        host.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "app")
    for name in ("web", "db", "other"):
        host.weft("rm", "-f", name, check=False)
    host.weft("run", "-d", "--name", "db", "--net", "app", "--", "sleep", "1000")
    host.weft("run", "-d", "--name", "web", "--net", "app", "--ip", "172.30.0.50", "--ip6", "fd00:30::50",
              "--link", "db:database", "--", "sleep", "1000")  # fmt: skip
    return "web"


def shell(host: Host, name: str, script: str) -> str:
    """Type a script in a container."""
    return host.weft("exec", name, "sh", "-ec", script).stdout


def lines(host: Host, name: str, file: str = "hosts") -> list[str]:
    return shell(host, name, f"cat /etc/{file}").splitlines()


def disturb(host: Host) -> None:
    """Make weft write the files anew: 'db' comes back with other addresses."""
    taken = host.inside("db").addresses()
    host.weft("stop", "-t", "0", "db")
    host.weft("run", "-d", "--name", "other", "--net", "app", "--ip", taken[0], "--ip6", taken[1], "--", "sleep", "99")
    host.weft("start", "db")


EDIT = """
echo '203.0.113.7 printer' >> /etc/hosts
sed 's/ip6-localnet/mine/' /etc/hosts > /tmp/hosts; cat /tmp/hosts > /etc/hosts; rm /tmp/hosts
"""


def test_an_edit_of_hosts_holds_while_weft_changes_other_lines(host: Host, web: str) -> None:
    before = lines(host, web)
    shell(host, web, EDIT)
    disturb(host)
    after = lines(host, web)
    assert "203.0.113.7 printer" in after
    assert "fe00::0\tmine" in after and not any("ip6-localnet" in line for line in after)
    linked = {line.split()[0] for line in after if "database" in line}
    assert linked == set(host.inside("db").addresses())
    ours = [line for line in before if "database" not in line and "ip6-localnet" not in line]
    assert [line for line in after if line in ours] == ours


def test_an_edit_holds_across_a_restart_of_the_agent(host: Host, web: str) -> None:
    shell(host, web, EDIT)
    shell(host, web, "echo 'options timeout:1' >> /etc/resolv.conf")
    host.restart_agent(kill=True)
    assert "203.0.113.7 printer" in lines(host, web)
    assert "options timeout:1" in lines(host, web, "resolv.conf")
    disturb(host)
    assert "203.0.113.7 printer" in lines(host, web)


def test_a_line_that_weft_must_change_is_changed_although_edited(host: Host, web: str) -> None:
    """And it is not there twice."""
    shell(host, web, "sed 's/^.*database/192.0.2.66 database/' /etc/hosts > /tmp/h; cat /tmp/h > /etc/hosts; rm /tmp/h")
    assert "192.0.2.66" in shell(host, web, "grep database /etc/hosts")
    disturb(host)
    linked = [line.split()[0] for line in lines(host, web) if "database" in line]
    assert sorted(linked) == sorted(host.inside("db").addresses())


def test_an_edit_of_resolv_conf_holds(host: Host, web: str) -> None:
    """While the host's own changes in another line; the line that changes there, changes."""
    shell(host, web, "echo '# mine' > /etc/resolv.conf; echo 'nameserver 192.0.2.77' >> /etc/resolv.conf")
    host.resolv_conf.write_text(f"nameserver {host.lans[0].gateway}\nsearch first.example\n")
    eventually(lambda: "search first.example" in lines(host, web, "resolv.conf"))
    found = lines(host, web, "resolv.conf")
    assert found[:2] == ["# mine", "nameserver 192.0.2.77"]
    assert not any("172.30.0.1" in line for line in found)
    shell(host, web, "echo 'search edited.example' > /etc/resolv.conf")
    host.resolv_conf.write_text(f"nameserver {host.lans[0].gateway}\nsearch second.example\n")
    eventually(lambda: "search second.example" in lines(host, web, "resolv.conf"))
    assert not any("edited.example" in line for line in lines(host, web, "resolv.conf"))
    host.resolv_conf.write_text(f"nameserver {host.lans[0].gateway}\n")


def test_edits_are_gone_at_restart(host: Host, web: str) -> None:
    before = {file: lines(host, web, file) for file in ("hosts", "resolv.conf")}
    shell(host, web, EDIT)
    shell(host, web, "echo 'nameserver 192.0.2.77' > /etc/resolv.conf; echo other > /etc/hostname")
    host.weft("stop", "-t", "0", web)
    host.weft("start", web)
    assert {file: lines(host, web, file) for file in before} == before
    assert lines(host, web, "hostname") == lines(host, web, "hostname")[:1] != ["other"]


def test_edits_stay_in_their_container(host: Host, web: str) -> None:
    """Neither the host nor another container sees them."""
    shell(host, web, EDIT)
    assert "printer" not in shell(host, "db", "cat /etc/hosts") + host.run("cat", "/etc/hosts").stdout
