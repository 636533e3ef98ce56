"""Records of one partition, read together: what a worker stores in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Record(NamedTuple):
    """One Kafka record as read. `timestamp_ms` is the record's own, in milliseconds since 1970 UTC."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one partition, read in one piece: all its records between `first_offset` and `next_offset`.

    Half-open. Offsets within it that have no record here have none that counts: they held markers of transactions or
    aborted records. `records` may be empty, where there was nothing else.
    """

    partition: int
    first_offset: int
    next_offset: int
    records: list[Record]
    generation: int

    def from_offset(self, offset: int) -> Chunk | None:
        """What of the chunk lies at or above `offset`; None where nothing does."""
        if offset <= self.first_offset:
            return self
        if offset >= self.next_offset:
            return None
        left = [record for record in self.records if record.offset >= offset]
        return Chunk(self.partition, offset, self.next_offset, left, self.generation)
