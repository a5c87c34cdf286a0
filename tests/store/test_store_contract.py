"""What every store promises: compare-and-swap, all or nothing, order, and nothing lost between threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.model.errors import InvalidInput, RevisionConflict, StoreFailed
from weft.store.base import Delete, Entry, Put, Store, Write

ODD_KEYS = [
    " ",
    "/",
    "//",
    "../../etc/passwd",
    "a\0b",
    "a\nb",
    "';DROP TABLE entries;--",
    "%",
    "_",
    "*",
    "[a-z]",
    'say "x"',
    "ÿ",
    "café",
    "cafe\u0301",
    "\U0010ffff",
    "\u202egnp",
    "--flag",
    "k" * 5000,
]


def put(store: Store, key: str, value: bytes, revision: int = 0) -> int:
    return store.write([Put(key=key, value=value, revision=revision)])


# --- one entry


def test_what_was_written_is_read(store: Store) -> None:
    revision = put(store, "networks/1", b"one")
    assert store.get("networks/1") == Entry(key="networks/1", value=b"one", revision=revision)


def test_there_is_nothing_before_the_first_write(store: Store) -> None:
    assert store.get("networks/1") is None
    assert store.list("") == ()
    assert store.revision() == 0


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 1_000_000], ids=["empty", "nul", "all", "big"])
def test_values_are_opaque(store: Store, value: bytes) -> None:
    put(store, "key", value)
    entry = store.get("key")
    assert entry is not None and entry.value == value


def test_revisions_grow_with_every_write(store: Store) -> None:
    first = put(store, "a", b"")
    second = put(store, "b", b"")
    third = put(store, "a", b"", first)
    fourth = store.write([Delete(key="b", revision=second)])
    fifth = put(store, "b", b"")
    assert 0 < first < second < third < fourth < fifth == store.revision()


def test_revisions_do_not_begin_again_after_reopening(open_in: Callable[[Path], Store], tmp_path: Path) -> None:
    store = open_in(tmp_path)
    first = put(store, "a", b"")
    last = store.write([Delete(key="a", revision=first)])
    store.close()
    store = open_in(tmp_path)
    assert store.revision() == last
    assert put(store, "a", b"") > last
    store.close()


def test_a_write_that_need_not_be_durable_is_a_write_like_any_other(store: Store) -> None:
    first = store.write([Put(key="a", value=b"1", revision=0)], durable=False)
    second = store.write([Put(key="a", value=b"2", revision=first)], durable=True)
    third = store.write([Put(key="a", value=b"3", revision=second)], durable=False)
    assert store.get("a") == Entry(key="a", value=b"3", revision=third)


# --- compare-and-swap


def test_an_entry_can_be_made_only_once(store: Store) -> None:
    put(store, "a", b"mine")
    with pytest.raises(RevisionConflict) as caught:
        put(store, "a", b"yours")
    assert "a" in caught.value.cause
    entry = store.get("a")
    assert entry is not None and entry.value == b"mine"


def test_a_stale_revision_is_refused(store: Store) -> None:
    old = put(store, "a", b"1")
    new = put(store, "a", b"2", old)
    for write in (Put(key="a", value=b"3", revision=old), Delete(key="a", revision=old)):
        with pytest.raises(RevisionConflict):
            store.write([write])
    assert store.get("a") == Entry(key="a", value=b"2", revision=new)


def test_a_revision_of_the_time_before_a_deletion_is_refused(store: Store) -> None:
    old = put(store, "a", b"1")
    store.write([Delete(key="a", revision=old)])
    with pytest.raises(RevisionConflict):
        put(store, "a", b"2", old)
    put(store, "a", b"3")
    with pytest.raises(RevisionConflict):
        put(store, "a", b"4", old)


@pytest.mark.parametrize("revision", [-1, 0, 1, 2**62])
def test_what_is_not_there_cannot_be_deleted(store: Store, revision: int) -> None:
    with pytest.raises(RevisionConflict):
        store.write([Delete(key="a", revision=revision)])


@pytest.mark.parametrize("revision", [-1, 1, 2**62])
def test_what_is_not_there_cannot_be_changed(store: Store, revision: int) -> None:
    with pytest.raises(RevisionConflict):
        put(store, "a", b"", revision)


# --- several writes at once


def test_writes_of_one_transaction_share_a_revision(store: Store) -> None:
    old = put(store, "c", b"")
    revision = store.write(
        [Put(key="a", value=b"1", revision=0), Delete(key="c", revision=old), Put(key="b", value=b"2", revision=0)]
    )
    assert store.list("") == (
        Entry(key="a", value=b"1", revision=revision),
        Entry(key="b", value=b"2", revision=revision),
    )


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_conflict_undoes_all(store: Store, position: int) -> None:
    kept = put(store, "kept", b"1")
    writes: list[Write] = [Put(key="new", value=b"", revision=0), Delete(key="kept", revision=kept)]
    writes.insert(position, Put(key="conflict", value=b"", revision=7))
    before = store.revision()
    with pytest.raises(RevisionConflict):
        store.write(writes)
    assert store.list("") == (Entry(key="kept", value=b"1", revision=kept),)
    assert store.revision() == before
    assert put(store, "after", b"") > before


def test_one_key_twice_in_a_transaction_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.write([Put(key="a", value=b"1", revision=0), Put(key="a", value=b"2", revision=0)])
    assert store.get("a") is None


def test_no_writes_change_nothing(store: Store) -> None:
    revision = put(store, "a", b"")
    assert store.write([]) == revision == store.revision()


# --- keys


@pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
def test_any_text_is_a_key(store: Store, key: str) -> None:
    revision = put(store, key, b"1")
    assert store.get(key) == Entry(key=key, value=b"1", revision=revision)
    assert [entry.key for entry in store.list(key)] == [key]
    store.write([Delete(key=key, revision=revision)])
    assert store.get(key) is None


def test_odd_keys_do_not_meet_one_another(store: Store) -> None:
    for number, key in enumerate(ODD_KEYS):
        put(store, key, str(number).encode())
    assert {entry.key: int(entry.value) for entry in store.list("")} == {key: n for n, key in enumerate(ODD_KEYS)}


@pytest.mark.parametrize("key", ["", "\ud800"], ids=["empty", "surrogate"])
def test_what_is_no_text_is_no_key(store: Store, key: str) -> None:
    with pytest.raises(InvalidInput):
        put(store, key, b"")
    with pytest.raises(InvalidInput):
        store.get(key)


def test_what_is_no_text_is_no_prefix(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.list("\ud800")


def test_a_list_is_ordered_and_ends_with_its_prefix(store: Store) -> None:
    for key in ("a0", "b/2", "b/10", "b/1", "b", "b0", "b/\U0010ffff", "c"):
        put(store, key, b"")
    assert [entry.key for entry in store.list("b/")] == ["b/1", "b/10", "b/2", "b/\U0010ffff"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=20), st.text("ab/ÿ\0", max_size=2)
)
def test_a_list_is_what_begins_with_the_prefix(open_in: Callable[[Path], Store], keys: set[str], prefix: str) -> None:
    with TemporaryDirectory() as directory:
        store = open_in(Path(directory))
        if keys:
            store.write([Put(key=key, value=b"", revision=0) for key in keys])
        assert [entry.key for entry in store.list(prefix)] == sorted(key for key in keys if key.startswith(prefix))
        store.close()


# --- against a model

_step = st.tuples(
    st.sampled_from(["put", "delete"]),
    st.sampled_from("abcd"),
    st.binary(max_size=3),
    st.sampled_from(["right", "stale", "none"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_step, min_size=1, max_size=3, unique_by=lambda step: step[1]), max_size=20))
def test_a_store_is_a_dictionary_with_revisions(
    open_in: Callable[[Path], Store], transactions: list[list[tuple[str, str, bytes, str]]]
) -> None:
    with TemporaryDirectory() as directory:
        store = open_in(Path(directory))
        model: dict[str, Entry] = {}
        for steps in transactions:
            writes, expected = _against(model, steps)
            if expected is None:
                with pytest.raises(RevisionConflict):
                    store.write(writes)
            else:
                revision = store.write(writes)
                model = {
                    key: Entry(key=key, value=entry.value, revision=entry.revision or revision)
                    for key, entry in expected.items()
                }
            assert store.list("") == tuple(model[key] for key in sorted(model))
        store.close()
        store = open_in(Path(directory))
        assert store.list("") == tuple(model[key] for key in sorted(model))
        store.close()


def _against(
    model: dict[str, Entry], steps: list[tuple[str, str, bytes, str]]
) -> tuple[list[Write], dict[str, Entry] | None]:
    """Return the writes of ``steps`` and the model after them (revision 0: the new one), None if they conflict."""
    writes: list[Write] = []
    after: dict[str, Entry] | None = dict(model)
    for kind, key, value, guess in steps:
        present = model[key].revision if key in model else 0
        named = {"right": present, "stale": present - 1, "none": 0}[guess]
        writes.append(Put(key=key, value=value, revision=named) if kind == "put" else Delete(key=key, revision=named))
        if named != present or (kind == "delete" and not present):
            after = None
        elif after is not None and kind == "put":
            after[key] = Entry(key=key, value=value, revision=0)
        elif after is not None:
            del after[key]
    return writes, after


# --- threads


def test_threads_count_together_by_compare_and_swap(store: Store) -> None:
    """Eight threads add one to the same entry again and again; no addition is lost."""
    threads, additions = 8, 40
    put(store, "counter", b"0")

    def add() -> None:
        for _ in range(additions):
            while not _try_to_add(store):
                pass

    _run([threading.Thread(target=add) for _ in range(threads)])
    entry = store.get("counter")
    assert entry is not None and int(entry.value) == threads * additions


def _try_to_add(store: Store) -> bool:
    entry = store.get("counter")
    assert entry is not None
    changed = Put(key="counter", value=str(int(entry.value) + 1).encode(), revision=entry.revision)
    try:
        store.write([changed], durable=False)
    except RevisionConflict:
        return False
    return True


def test_of_many_who_make_an_entry_one_wins(store: Store) -> None:
    outcomes: list[bool] = []

    def make(number: int) -> None:
        try:
            put(store, "leader", str(number).encode())
            outcomes.append(True)
        except RevisionConflict:
            outcomes.append(False)

    _run([threading.Thread(target=make, args=(number,)) for number in range(16)])
    assert sorted(outcomes) == [False] * 15 + [True]


def test_readers_see_no_half_of_a_transaction(store: Store) -> None:
    revision = store.write([Put(key="pair/a", value=b"0", revision=0), Put(key="pair/b", value=b"0", revision=0)])
    done = threading.Event()
    torn: list[tuple[Entry, ...]] = []

    def look() -> None:
        while not done.is_set():
            pair = store.list("pair/")
            if len({(entry.value, entry.revision) for entry in pair}) != 1:
                torn.append(pair)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(1, 200):
            value = str(number).encode()
            revision = store.write(
                [Put(key=key, value=value, revision=revision) for key in ("pair/a", "pair/b")], durable=False
            )
    finally:
        done.set()
        reader.join()
    assert not torn


def _run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- the end


def test_a_closed_store_says_so(open_in: Callable[[Path], Store], tmp_path: Path) -> None:
    store = open_in(tmp_path)
    store.close()
    store.close()
    for call in (
        lambda: store.get("a"),
        lambda: store.list(""),
        lambda: put(store, "a", b""),
        store.revision,
        lambda: store.watch("", 0, lambda event: None),
    ):
        with pytest.raises(StoreFailed, match="closed"):
            call()
