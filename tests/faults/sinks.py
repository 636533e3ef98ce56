"""Sinks for tests: slow ones, impatient ones, and ones with a planted defect that the harness must catch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams import transport
from streams import worker as streams_worker
from streams.sink import Sink

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
        self.made = self.ended = self.held_max = 0
        making = transport.ChunkConsumer._chunk_message

        def counted(consumer: Any, tp: TP, stretch: Stretch, generation: int) -> Any:
            self.made += 1
            self.held_max = max(self.held_max, self.made - self.ended)
            Path(consumer.app.conf.datadir).joinpath("held").write_text(str(self.held_max), encoding="ascii")
            return making(consumer, tp, stretch, generation)

        transport.ChunkConsumer._chunk_message = counted

    def store(self, prepared: Prepared) -> Outcome:
        """After a while."""
        time.sleep(self.SECONDS)
        outcome = super().store(prepared)
        self.ended += 1
        return outcome
