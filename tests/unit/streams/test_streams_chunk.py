"""Chunks: what of one lies above an offset, and who asks for nothing twice."""

from __future__ import annotations

from streams.chunk import Chunk, Record


def made(first: int, end: int, offsets: list[int]) -> Chunk:
    return Chunk(0, first, end, [Record(offset, 0, None, b"") for offset in offsets], 7)


def test_below_its_beginning_all_of_it_is_left() -> None:
    chunk = made(5, 9, [5, 7])
    assert chunk.from_offset(3) is chunk
    assert chunk.from_offset(5) is chunk


def test_at_its_end_nothing_is_left() -> None:
    assert made(5, 9, [5, 7]).from_offset(9) is None
    assert made(5, 9, [5, 7]).from_offset(12) is None


def test_in_its_middle_the_rest_is_left_also_where_no_record_is() -> None:
    rest = made(5, 9, [5, 7]).from_offset(8)
    assert rest is not None
    assert (rest.first_offset, rest.next_offset, rest.records, rest.generation) == (8, 9, [], 7)
