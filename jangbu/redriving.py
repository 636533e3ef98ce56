"""Re-driving quarantine: the record as it was goes through the outbox to Kafka again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from sqlalchemy import text

from jangbu.ingesting import open_outbox, publish_rest
from jangbu.quarantine_decisions import why_not_sent
from producers.outbox import Accepted

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from jangbu.settings import Settings

PATIENCE_S = 60.0
_OPEN = """
  select id, record_key, record_value, (extract(epoch from record_time) * 1000)::bigint
  from quarantine
  where state = 'open' and record_value is not null
    and (cast(:ids as bigint[]) is null or id = any(:ids)) and (cast(:code as text) is null or code = :code)
  order by id for update skip locked
"""


def redrive_open(
    settings: Settings, engine: Engine, ids: tuple[int, ...], code: str | None, actor: str, *, dry_run: bool
) -> list[int]:
    """Put open records (all, those of `ids`, those of `code`) into the outbox and mark them; their numbers.

    Of named ones all are sent or none: NotFoundError and RefusedByStateError say what stands against which.
    First durable in the outbox, then marked: a crash between sends a record twice, and the second is a duplicate.
    """
    with engine.connect() as connection:
        rows = connection.execute(text(_OPEN), {"ids": list(ids) or None, "code": code}).fetchall()
        numbers = [int(row[0]) for row in rows]
        if set(ids) - set(numbers):
            raise why_not_sent(connection, sorted(set(ids) - set(numbers)))
        if dry_run or not rows:
            connection.rollback()
            return numbers
        with open_outbox(settings) as outbox:
            outbox.append([Accepted(bytes(key or b""), bytes(value), int(ms)) for _, key, value, ms in rows])
            connection.execute(
                text(
                    "update quarantine set state = 'redriven', decided_at = now(), decided_by = :actor"
                    " where id = any(:numbers)"
                ),
                {"actor": actor, "numbers": numbers},
            )
            connection.commit()
            publish_rest(settings, outbox, PATIENCE_S, lambda sentence: click.echo(sentence, err=True))
    return numbers
