"""Sinks for tests: slow ones, impatient ones, and ones with a planted defect that the harness must catch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from streams import prepare, sink, transport
from streams import worker as streams_worker
from streams.sink import Sink, Stored

if TYPE_CHECKING:
    from faust.types import TP

    from streams.prepare import Prepared
    from streams.sink import Outcome
    from streams.transport import Stretch


class BrokenSink(Sink):
    """Fails for good, as a defect of ours would."""

    def store(self, prepared: Prepared) -> Outcome:
        """Never."""
        raise ValueError("this sink is broken for good")


class ImpatientSink(Sink):
    """PostgreSQL ends transactions that stand still for 2 seconds."""

    def __init__(self, *arguments: Any) -> None:
        streams_worker.IDLE_IN_TRANSACTION_SECONDS_MAX = 2
        super().__init__(*arguments)


class SlowSink(Sink):
    """Small chunks, each of which takes a while; says in `DATA_DIR/held` how many chunks were held at most."""

    SECONDS = 0.1
    RECORDS = 200

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        transport.CHUNK_RECORDS_MAX = self.RECORDS
        transport._STEP_RECORDS = self.RECORDS // 4
        self.made = self.ended = self.held_max = 0
        making = transport.ChunkConsumer._chunk_message

        def counted(consumer: Any, tp: TP, stretch: Stretch, generation: int) -> Any:
            self.made += 1
            self.held_max = max(self.held_max, self.made - self.ended)
            Path(consumer.app.conf.datadir).joinpath("held").write_text(str(self.held_max), encoding="ascii")
            return making(consumer, tp, stretch, generation)

        transport.ChunkConsumer._chunk_message = counted  # type: ignore[method-assign, assignment]

    def store(self, prepared: Prepared) -> Outcome:
        """After a while."""
        time.sleep(self.SECONDS)
        outcome = super().store(prepared)
        self.ended += 1
        return outcome


class OffsetFirstSink(Sink):
    """Planted: the offset is moved in a transaction of its own before the events are stored (an ack before the
    commit). A worker that is killed in between loses a chunk."""

    def _once(self, prepared: Prepared) -> Outcome:
        connection = self._ready()
        chunk = prepared.chunk
        place = (self._log_id, chunk.partition)
        self._observe("before_sql")
        with connection.transaction():
            moved = connection.execute(
                "update stream_offset set next_offset = %s where log_id = %s and partition = %s and next_offset = %s",
                (chunk.next_offset, *place, chunk.first_offset),
            ).rowcount
        with connection.transaction():
            if moved:
                back = "update stream_offset set next_offset = %s where log_id = %s and partition = %s"
                connection.execute(back, (chunk.first_offset, *place))
            outcome = self._write(connection, prepared)
            self._observe("in_transaction")
            if not isinstance(outcome, Stored):
                raise psycopg.Rollback
        self._observe("after_commit")
        return outcome


class SumsOfCopiesSink(Sink):
    """Planted: copies of events that are in the ledger are added to the sums all the same."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        packing = prepare.parts_copy

        def of_all(prepared: Prepared, _left_out: Any, log_id: int) -> bytes:
            return packing(prepared, (), log_id)

        vars(sink)["parts_copy"] = of_all
