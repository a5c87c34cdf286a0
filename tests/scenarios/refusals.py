"""Commands that must be refused, and the promise that goes with every refusal."""

from __future__ import annotations

from weft.testing.hosts import Host
from weft.testing.oracles import Snapshot, assert_clean


def refusal(host: Host, *words: object) -> str:
    """Type a command that weft must refuse, leaving nothing behind; return what it says."""
    before = Snapshot.take(host)
    done = host.weft(*words, check=False)
    assert (done.returncode, done.stdout) == (1, ""), f"not refused: {done.stdout}{done.stderr}"
    assert done.stderr.startswith("weft: "), done.stderr
    assert_clean(before, host)
    return done.stderr
