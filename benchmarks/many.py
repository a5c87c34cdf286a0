"""N5: many attachments, at once and in a row, each through what a user would call.

    python -m benchmarks.many [--rounds 5] [--burst 64] [--row 1000] [--peerrow 200] [--json]

weft is called through the API of its agent, Docker through its own, the CNI plugin and netavark as the processes that
they are.  Making the containers is left out.  The row ends with all containers attached; its beginning and its end are
compared, to see whether attaching gets slower with what is there already.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from benchmarks.harness import Result, interleave, main, summary, timed
from benchmarks.peers import Side, Weft, available
from weft.testing.hosts import Hosts

#: How many attachments stand for the beginning and for the end of a row, and for one point of its curve.
_EDGE = 50


def at_once(side: Side, count: int) -> float:
    """Attach ``count`` containers at the same time; return the seconds until the last one was, and detach them."""
    with ThreadPoolExecutor(count) as threads:

        def all_of(work: Callable[[int], None]) -> None:
            list(threads.map(work, range(count)))

        list(threads.map(lambda _: None, range(count)))  # the threads are there before the clock runs
        took = timed(lambda: all_of(side.attach))
        all_of(side.detach)
    return took


def in_a_row(side: Side, count: int) -> Result:
    """Attach ``count`` containers one after the other and detach them."""
    side.attach(0)  # what comes into being with the first one does not count
    side.detach(0)
    times = [timed(partial(side.attach, number)) * 1000 for number in range(count)]
    for number in range(count):
        side.detach(number)
    first, last = statistics.median(times[:_EDGE]), statistics.median(times[-_EDGE:])
    return {
        "count": count,
        "total_s": round(sum(times) / 1000, 2),
        "each_ms": summary(times),
        "first_ms": round(first, 2),
        "last_ms": round(last, 2),
        "growth": round(last / first, 2),
        "curve_ms": [round(statistics.median(times[at : at + _EDGE]), 2) for at in range(0, count, _EDGE)],
    }


def measure(rounds: int, burst: int, row: int, peerrow: int) -> Result:
    """Measure everybody who is here."""
    with Hosts() as hosts, ExitStack() as stack:
        sides: list[Side] = []
        for make in available():
            lan = hosts.lan(f"203.0.{len(sides)}.0/24")
            side = make(hosts.host(f"h{len(sides)}", lan))
            stack.callback(side.close)
            side.prepare(burst)
            sides.append(side)
        bursts = interleave({side.name: partial(at_once, side, burst) for side in sides}, rounds)
        rows = {}
        for side in sides:
            count = row if isinstance(side, Weft) else min(burst, peerrow) if side.name == "Docker" else peerrow
            side.prepare(count)
            rows[side.name] = in_a_row(side, count)
    return {
        "burst": burst,
        "at_once_s": {name: summary(values, 3) for name, values in bursts.items()},
        "in_a_row": rows,
    }


if __name__ == "__main__":
    main("N5: many attachments, at once and in a row", measure, rounds=5, burst=64, row=1000, peerrow=200)
