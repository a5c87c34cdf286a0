"""What a person writes into a container's hosts file or resolv.conf stays, unless weft has to change that very line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.agent.names import files as files_module
from weft.agent.names.files import ContainerFiles
from weft.model.container import Address, Container, Endpoint
from weft.model.network import Network, Subnet
from weft.model.settings import Settings
from weft.plan import hostsfile, resolvconf
from weft.plan.hostsfile import Linked, hosts_file
from weft.plan.managed import Line, Lines, merge
from weft.plan.resolvconf import ResolvConf

ID = "0123456789abcdef" * 4
WEB = Container(id=ID, name="web", hostname="www.example.org")
NETWORK = Network(id="n", name="shop", bridge="br", subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"),))


def _address(text: str) -> Address:
    return Address(address=text, prefixlen=64 if ":" in text else 24)


def _hosts(own: str = "10.1.0.2", db: tuple[str, ...] = ("10.1.0.3",)) -> Lines:
    endpoint = Endpoint(id="e", network_id="n", container_id=ID, addresses=(_address(own),))
    link = Linked(alias="db", name="postgres", id="f" * 64, addresses=tuple(_address(text) for text in db))
    return hosts_file(WEB, [endpoint], [link])


def _resolv(*servers: str, search: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> Lines:
    return resolvconf.lines(ResolvConf(servers=servers, search=search, options=options))


@pytest.fixture
def files(tmp_path: Path) -> ContainerFiles:
    made = ContainerFiles(tmp_path / "c")
    made.write(_hosts(), _resolv("10.1.0.1", search=("corp",)), "www.example.org")
    return made


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_fresh_files(files: ContainerFiles) -> None:
    assert files.hosts.read_text().splitlines()[-2:] == [
        "10.1.0.2\twww.example.org www web",
        f"10.1.0.3\tdb postgres {'f' * 12}",
    ]
    assert files.hosts.read_text().startswith("127.0.0.1\tlocalhost\n::1\tlocalhost ")
    assert files.resolv.read_text() == "nameserver 10.1.0.1\nsearch corp\n"
    assert files.hostname.read_text() == "www.example.org\n"
    assert files.mounts()["/etc/hosts"] == str(files.hosts)


def test_everybody_in_the_container_can_read_them_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = ContainerFiles(tmp_path / "c")
        made.write((), (), "h")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (made.hosts, made.resolv, made.hostname)} == {0o644}


def test_a_link_follows_its_target_and_other_lines_stay(files: ContainerFiles) -> None:
    with files.hosts.open("a") as handle:
        handle.write("192.0.2.1 mine # a note\n\n# the end")
    files.update_hosts(_hosts(db=("10.1.0.77",)))
    lines = files.hosts.read_text().splitlines()
    assert f"10.1.0.77\tdb postgres {'f' * 12}" in lines
    assert not any(line.startswith("10.1.0.3\t") for line in lines)
    assert lines[-3:] == ["192.0.2.1 mine # a note", "", "# the end"]


def test_an_edited_line_stays_while_weft_has_no_reason_to_change_it(files: ContainerFiles) -> None:
    _edit(files.hosts, "10.1.0.3\tdb", "192.0.2.9\tdb")
    _edit(files.hosts, "::1\tlocalhost ip6-localhost ip6-loopback\n", "")
    files.update_hosts(_hosts(own="10.1.0.50"))
    text = files.hosts.read_text()
    assert "192.0.2.9\tdb" in text
    assert "ip6-loopback" not in text
    assert "10.1.0.50\twww.example.org" in text


def test_an_edited_line_is_changed_when_weft_must(files: ContainerFiles) -> None:
    _edit(files.hosts, "10.1.0.3\tdb", "192.0.2.9\tdb")
    files.update_hosts(_hosts(db=("10.1.0.77",)))
    text = files.hosts.read_text()
    assert "192.0.2.9" not in text
    assert "10.1.0.77\tdb" in text


def test_a_deleted_line_comes_back_when_weft_must_say_something_else(files: ContainerFiles) -> None:
    _edit(files.hosts, f"10.1.0.3\tdb postgres {'f' * 12}\n", "")
    files.update_hosts(_hosts())
    assert "db" not in files.hosts.read_text()
    files.update_hosts(_hosts(db=("10.1.0.77",)))
    assert "10.1.0.77\tdb" in files.hosts.read_text()


def test_lines_that_weft_no_longer_needs_go_but_edited_ones_stay(files: ContainerFiles) -> None:
    files.update_hosts(_hosts(db=()))
    assert "db" not in files.hosts.read_text()
    files.update_hosts(_hosts())
    _edit(files.hosts, "10.1.0.3\tdb", "192.0.2.9\tdb")
    files.update_hosts(_hosts(db=()))
    assert "192.0.2.9\tdb" in files.hosts.read_text()


@pytest.mark.parametrize(("again", "now"), [("10.1.0.3", "192.0.2.9"), ("10.1.0.77", "10.1.0.77")])
def test_an_edited_line_of_what_goes_and_comes_back_is_changed_if_it_comes_with_another_address(
    files: ContainerFiles, again: str, now: str
) -> None:
    _edit(files.hosts, "10.1.0.3\tdb", "192.0.2.9\tdb")
    files.update_hosts(_hosts(db=()))
    files.update_hosts(_hosts(own="10.1.0.50", db=()))
    files.update_hosts(_hosts(own="10.1.0.50", db=(again,)))
    assert [line.split()[0] for line in files.hosts.read_text().splitlines() if "\tdb " in line] == [now]


def test_a_second_address_is_put_beside_the_first(files: ContainerFiles) -> None:
    files.update_hosts(_hosts(db=("10.1.0.3", "fd01::3")))
    lines = [line for line in files.hosts.read_text().splitlines() if "postgres" in line]
    assert [line.split("\t")[0] for line in lines] == ["10.1.0.3", "fd01::3"]


def test_resolv_conf_follows_line_by_line(files: ContainerFiles) -> None:
    _edit(files.resolv, "search corp", "search my.own.domain")
    with files.resolv.open("a") as handle:
        handle.write("options timeout:1\n")
    files.update_resolv(_resolv("10.2.0.1", search=("corp",)))
    assert files.resolv.read_text() == "nameserver 10.2.0.1\nsearch my.own.domain\noptions timeout:1\n"
    files.update_resolv(_resolv("10.2.0.1", search=("new",)))
    assert files.resolv.read_text() == "nameserver 10.2.0.1\nsearch new\noptions timeout:1\n"


def test_an_own_nameserver_stays_until_the_gateway_is_another(files: ContainerFiles) -> None:
    _edit(files.resolv, "nameserver 10.1.0.1", "nameserver 9.9.9.9")
    files.update_resolv(_resolv("10.1.0.1", search=("other",)))
    assert "nameserver 9.9.9.9\n" in files.resolv.read_text()
    files.update_resolv(_resolv("10.2.0.1", search=("other",)))
    assert "9.9.9.9" not in files.resolv.read_text()


def test_a_restart_forgets_edits(files: ContainerFiles) -> None:
    files.hosts.write_text("192.0.2.1 mine\n")
    files.write(_hosts(), _resolv("10.1.0.1"), "www")
    assert "mine" not in files.hosts.read_text()


def test_the_file_stays_the_same_one(files: ContainerFiles) -> None:
    """It is bind-mounted into the container: another inode would not be seen there."""
    before = files.hosts.stat().st_ino
    files.update_hosts(_hosts(db=("10.1.0.99",)))
    files.write(_hosts(), _resolv("10.1.0.1"), "www")
    assert files.hosts.stat().st_ino == before


def test_another_agent_knows_which_lines_are_wefts(files: ContainerFiles) -> None:
    _edit(files.hosts, "10.1.0.3\tdb", "192.0.2.9\tdb")
    later = ContainerFiles(files.hosts.parent)
    later.update_hosts(_hosts(own="10.1.0.60"))
    assert "10.1.0.60" in later.hosts.read_text()
    assert "10.1.0.2\t" not in later.hosts.read_text()
    assert "192.0.2.9\tdb" in later.hosts.read_text()


def test_an_agent_killed_between_file_and_note_does_no_harm(files: ContainerFiles) -> None:
    note = files.hosts.parent / "managed.json"
    old = note.read_bytes()
    files.update_hosts(_hosts(db=("10.1.0.77",)))
    after = files.hosts.read_text()
    note.write_bytes(old)
    files.update_hosts(_hosts(db=("10.1.0.77",)))
    assert files.hosts.read_text() == after


def test_readers_never_see_half_a_file(files: ContainerFiles) -> None:
    stop = threading.Event()
    odd: list[str] = []

    def read() -> None:
        while not stop.is_set():
            text = files.hosts.read_text()
            if not text.startswith("127.0.0.1\tlocalhost\n") or text.count("\twww.example.org www web\n") != 1:
                odd.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        files.update_hosts(_hosts(db=("10.1.0.3", "fd01:0:0:0:1:2:3:4") if number % 2 else ()))
    stop.set()
    reader.join()
    assert odd == []


def test_octets_that_are_no_text_survive(files: ContainerFiles) -> None:
    with files.hosts.open("ab") as handle:
        handle.write(b"192.0.2.1 caf\xe9\x0c\n")
    files.update_hosts(_hosts(db=("10.1.0.99",)))
    assert b"192.0.2.1 caf\xe9\x0c\n" in files.hosts.read_bytes()


def test_a_file_blown_up_from_inside_is_put_right(files: ContainerFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "LARGEST", 1 << 12)
    with files.hosts.open("a") as handle:
        handle.write("# flood\n" * 5000)
    files.update_hosts(_hosts(db=("10.1.0.99",)))
    assert files.hosts.read_text() == "".join(f"{line.text}\n" for line in _hosts(db=("10.1.0.99",)))


def test_a_link_in_place_of_a_file_is_not_followed(files: ContainerFiles, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    files.hosts.unlink()
    files.hosts.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        files.update_hosts(_hosts(db=("10.1.0.99",)))
    assert victim.read_text() == "precious\n"


def test_files_that_are_not_there_are_not_made_by_an_update(tmp_path: Path) -> None:
    made = ContainerFiles(tmp_path)
    made.update_hosts(_hosts())
    made.update_resolv(_resolv("10.1.0.1"))
    assert list(tmp_path.iterdir()) == []


# --- merging in general ---------------------------------------------------------------------------------------------

_slots = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), max_size=6)
_theirs = st.lists(st.text(alphabet="xyz# ", max_size=4), max_size=5)


def _lines(slots: dict[str, int], offset: int = 0) -> Lines:
    return tuple(Line(slot=slot, text=f"10.0.{ord(slot)}.{value + offset}\t{slot}") for slot, value in slots.items())


@given(_slots, _slots, _theirs)
def test_without_edits_wefts_lines_are_exactly_the_wanted_ones(
    before: dict[str, int], after: dict[str, int], theirs: list[str]
) -> None:
    current = [line.text for line in _lines(before)] + theirs
    merged = merge(current, _lines(before), _lines(after), hostsfile.is_edit_of)
    wanted = [line.text for line in _lines(after)]
    assert sorted(line for line in merged if "\t" in line) == sorted(wanted)
    assert [line for line in merged if "\t" not in line] == theirs


@given(_slots, _slots, st.randoms(use_true_random=False))
def test_people_s_lines_are_never_lost_and_merging_again_changes_nothing(
    before: dict[str, int], after: dict[str, int], random: object
) -> None:
    mine = ["192.0.2.1 mine", "# note", ""]
    current = [line.text for line in _lines(before)] + mine
    random.shuffle(current)  # type: ignore[attr-defined]
    merged = merge(current, _lines(before), _lines(after), hostsfile.is_edit_of)
    assert all(line in merged for line in mine)
    assert merge(merged, _lines(before), _lines(after), hostsfile.is_edit_of) == merged
    assert merge(merged, _lines(after), _lines(after), hostsfile.is_edit_of) == merged


def test_two_slots_can_trade_their_texts() -> None:
    before = (Line(slot="0", text="nameserver a"), Line(slot="1", text="nameserver b"))
    after = (Line(slot="0", text="nameserver b"), Line(slot="1", text="nameserver a"))
    current = ["nameserver a", "nameserver b", "options x"]
    assert merge(current, before, after, resolvconf.is_edit_of) == ["nameserver b", "nameserver a", "options x"]


def test_settings_and_own_search_domains_come_before_the_hosts() -> None:
    host = ResolvConf(servers=("192.0.2.53",), search=("corp",), options=("edns0",))

    def conf(container: Container, settings: Settings) -> ResolvConf:
        return resolvconf.container_conf(container, [NETWORK], host, settings)

    plain = Container(id=ID, name="web")
    own = Container(id=ID, name="web", dns_search=("own",))
    none = Container(id=ID, name="web", dns_search=(".",))
    of_host = Settings(dns_search=("settings",))
    assert conf(plain, Settings()) == ResolvConf(servers=("10.1.0.1",), search=("corp",), options=("edns0", "ndots:0"))
    assert conf(plain, of_host).search == ("settings",)
    assert conf(own, of_host).search == ("own",)
    assert conf(none, of_host) == ResolvConf(servers=("10.1.0.1",), options=("edns0",))


def test_without_a_network_that_answers_names_own_servers_are_told_as_they_are() -> None:
    container = Container(id=ID, name="web", dns=("9.9.9.9",))
    host = ResolvConf(servers=("192.0.2.53",))
    assert resolvconf.container_conf(container, [], host, Settings()).servers == ("9.9.9.9",)
    assert resolvconf.container_conf(Container(id=ID, name="x"), [], host, Settings()).servers == ()
