"""The framing of the console's socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.api import frames

_FRAME = st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=300))


@given(st.lists(_FRAME, max_size=20), st.lists(st.integers(1, 50)))
def test_frames_survive_being_cut_anywhere(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frames.pack(kind, payload) for kind, payload in sent)
    buffer = bytearray()
    received = []
    for length in [*cuts, len(stream)]:
        buffer += stream[:length]
        stream = stream[length:]
        received += frames.take(buffer)
    assert received == sent
    assert not buffer


def test_a_frame_of_the_greatest_length_is_taken_and_a_longer_one_refused_at_once() -> None:
    assert frames.take(bytearray(frames.pack(b"i", bytes(frames.LIMIT)))) == [(b"i", bytes(frames.LIMIT))]
    with pytest.raises(frames.BadFrame):
        frames.take(bytearray(b"i" + (frames.LIMIT + 1).to_bytes(4, "big")))


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        taken = frames.take(buffer)
    except frames.BadFrame:
        return
    assert b"".join(frames.pack(kind, payload) for kind, payload in taken) + bytes(buffer) == data
