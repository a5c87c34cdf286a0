"""What every store promises to those who follow it: every change once, in order, from where they were."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from weft.model.errors import Compacted
from weft.store.base import Delete, Event, Put, Store

SECONDS = 5.0


class Log:
    """A receiver that keeps what it was told."""

    def __init__(self) -> None:
        self._events: queue.Queue[Event] = queue.Queue()
        self.threads: set[threading.Thread] = set()

    def __call__(self, event: Event) -> None:
        self.threads.add(threading.current_thread())
        self._events.put(event)

    def take(self, count: int) -> list[Event]:
        """Return the next ``count`` events, waiting for them."""
        return [self._events.get(timeout=SECONDS) for _ in range(count)]

    def until(self, key: str) -> list[Event]:
        """Return the events before that of ``key``, waiting for it."""
        events: list[Event] = []
        while (event := self._events.get(timeout=SECONDS)).key != key:
            events.append(event)
        return events

    @property
    def is_empty(self) -> bool:
        return self._events.empty()


def put(store: Store, key: str, value: bytes = b"", revision: int = 0) -> int:
    return store.write([Put(key=key, value=value, revision=revision)], durable=False)


def test_changes_arrive_in_order_with_their_revision(store: Store) -> None:
    log = Log()
    end = store.watch("a/", 0, log)
    first = put(store, "a/1", b"x")
    second = put(store, "a/1", b"y", first)
    third = store.write([Delete(key="a/1", revision=second)])
    assert log.take(3) == [
        Event(key="a/1", value=b"x", revision=first),
        Event(key="a/1", value=b"y", revision=second),
        Event(key="a/1", value=None, revision=third),
    ]
    end()


def test_the_changes_of_a_transaction_keep_their_order(store: Store) -> None:
    old = put(store, "c")
    log = Log()
    end = store.watch("", old, log)
    revision = store.write(
        [Put(key="z", value=b"", revision=0), Delete(key="c", revision=old), Put(key="b", value=b"", revision=0)]
    )
    late = Log()
    end_late = store.watch("", old, late)
    expected = [
        Event(key="z", value=b"", revision=revision),
        Event(key="c", value=None, revision=revision),
        Event(key="b", value=b"", revision=revision),
    ]
    assert log.take(3) == late.take(3) == expected
    end()
    end_late()


def test_only_what_is_under_the_prefix_arrives(store: Store) -> None:
    log = Log()
    end = store.watch("b/", 0, log)
    for key in ("a", "b", "b/1", "b0", "c", "b/2"):
        put(store, key)
    assert [event.key for event in log.take(2)] == ["b/1", "b/2"]
    put(store, "b/end")
    assert log.until("b/end") == []
    end()


def test_a_refused_write_is_not_announced(store: Store) -> None:
    put(store, "a")
    log = Log()
    end = store.watch("", 0, log)
    with pytest.raises(Exception, match="revision"):
        store.write([Put(key="b", value=b"", revision=0), Put(key="a", value=b"", revision=0)])
    put(store, "end")
    assert [event.key for event in log.until("end")] == ["a"]
    end()


def test_a_watch_goes_on_from_any_revision(store: Store) -> None:
    """Whoever has seen the changes up to a revision gets exactly the later ones, deletions included."""
    events: list[Event] = []
    for number in range(10):
        revision = put(store, f"k{number}", b"v")
        events.append(Event(key=f"k{number}", value=b"v", revision=revision))
        if number % 3 == 0:
            gone = store.write([Delete(key=f"k{number}", revision=revision)])
            events.append(Event(key=f"k{number}", value=None, revision=gone))
    for since in range(store.revision() + 1):
        expected = [event for event in events if event.revision > since]
        log = Log()
        end = store.watch("k", since, log)
        assert log.take(len(expected)) == expected
        end()
        assert log.is_empty


def test_a_watch_goes_on_after_reopening(open_in: Callable[[Path], Store], tmp_path: Path) -> None:
    store = open_in(tmp_path)
    seen = put(store, "a", b"1")
    gone = store.write([Delete(key="a", revision=seen)])
    store.close()
    store = open_in(tmp_path)
    log = Log()
    store.watch("", seen, log)
    later = put(store, "b", b"2")
    assert log.take(2) == [Event(key="a", value=None, revision=gone), Event(key="b", value=b"2", revision=later)]
    store.close()


def test_following_while_others_write_misses_and_doubles_nothing(store: Store) -> None:
    """Revision, list, watch: the picture kept from them ends equal to the store, whatever is written meanwhile."""
    writers, rounds = 3, 60

    def write(writer: int) -> None:
        for number in range(rounds):
            revision = put(store, f"w{writer}/{number % 7}", b"x", _revision_of(store, f"w{writer}/{number % 7}"))
            if number % 5 == 4:
                store.write([Delete(key=f"w{writer}/{number % 7}", revision=revision)], durable=False)

    everything = Log()
    store.watch("", 0, everything)
    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    logs: list[tuple[int, dict[str, int], Log]] = []
    for _ in range(8):
        since = store.revision()
        picture = {entry.key: entry.revision for entry in store.list("w")}
        log = Log()
        store.watch("", since, log)
        logs.append((since, picture, log))
    for thread in threads:
        thread.join()
    truth = {entry.key: entry.revision for entry in store.list("w")}
    put(store, "end")
    changes = everything.until("end")
    assert len(changes) == writers * (rounds + rounds // 5)
    for since, picture, log in logs:
        events = log.until("end")
        assert events == [change for change in changes if change.revision > since]
        for event in events:
            if event.value is not None:
                picture[event.key] = event.revision
            else:
                picture.pop(event.key, None)
        assert picture == truth


def _revision_of(store: Store, key: str) -> int:
    entry = store.get(key)
    return 0 if entry is None else entry.revision


def test_a_future_revision_is_refused(store: Store) -> None:
    """A store put back from an older copy must not look to a follower as if nothing had happened."""
    revision = put(store, "a")
    with pytest.raises(Compacted) as caught:
        store.watch("", revision + 1, lambda event: None)
    assert caught.value.hint


def test_after_its_end_a_watch_is_silent(store: Store) -> None:
    log, other = Log(), Log()
    end = store.watch("", 0, log)
    store.watch("", 0, other)
    put(store, "a")
    log.take(1)
    end()
    end()
    put(store, "b")
    other.take(2)
    assert log.is_empty


def test_the_end_waits_for_a_delivery_under_way(store: Store) -> None:
    """Also for one that uses the store."""
    began, go_on = threading.Event(), threading.Event()
    finished: list[str] = []

    def slow(event: Event) -> None:
        began.set()
        go_on.wait(SECONDS)
        store.get(event.key)
        finished.append(event.key)

    end = store.watch("", 0, slow)
    put(store, "a")
    put(store, "b")
    assert began.wait(SECONDS)
    threading.Timer(0.05, go_on.set).start()
    end()
    assert finished == ["a"]


def test_a_receiver_may_use_the_store_and_end_its_own_watch(store: Store) -> None:
    done = threading.Event()
    ends: list[Callable[[], None]] = []
    ready = threading.Event()

    def receive(event: Event) -> None:
        ready.wait(SECONDS)
        put(store, "answer", event.value or b"")
        ends[0]()
        done.set()

    ends.append(store.watch("question", 0, receive))
    ready.set()
    put(store, "question", b"?")
    assert done.wait(SECONDS)
    entry = store.get("answer")
    assert entry is not None and entry.value == b"?"


def test_a_receiver_that_fails_gets_the_next_change(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    log = Log()

    def receive(event: Event) -> None:
        if event.key == "bad":
            raise ValueError("no")
        log(event)

    with caplog.at_level(logging.ERROR):
        end = store.watch("", 0, receive)
        put(store, "bad")
        put(store, "good")
        assert [event.key for event in log.take(1)] == ["good"]
        end()
    assert "'bad'" in caplog.text


def test_a_slow_receiver_delays_nobody(store: Store) -> None:
    blocked, log = threading.Event(), Log()

    def wait(event: Event) -> None:
        blocked.wait(SECONDS)

    end_slow = store.watch("", 0, wait)
    end = store.watch("", 0, log)
    for number in range(20):
        put(store, f"k{number}")
    assert len(log.take(20)) == 20
    blocked.set()
    end_slow()
    end()


def test_changes_are_delivered_by_a_thread_of_the_store(store: Store) -> None:
    log = Log()
    end = store.watch("", 0, log)
    put(store, "a")
    put(store, "b")
    log.take(2)
    end()
    (thread,) = log.threads
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_closing_ends_the_watches(open_in: Callable[[Path], Store], tmp_path: Path) -> None:
    store = open_in(tmp_path)
    log = Log()
    end = store.watch("", 0, log)
    put(store, "a")
    log.take(1)
    (thread,) = log.threads
    store.close()
    assert not thread.is_alive()
    end()
