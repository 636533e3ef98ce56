"""Silences: alerts of a kind, a quota or a department that nobody is told about for a while. They are kept.

A silence is a row that is never changed; another row that names it lifts it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.errors import BillingError
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.alerts.alert import Due

REASON_CHARACTERS_MAX = 2000


class Silence(NamedTuple):
    """What is not told until when. None fits all; `lifted_by` is the row that ended it."""

    id: int
    kind: str | None
    quota: int | None
    department: str | None
    until: datetime
    reason: str
    actor: str
    recorded_at: datetime
    lifted_by: int | None

    def holds(self, moment: datetime) -> bool:
        """Whether it silences at an instant."""
        return self.lifted_by is None and moment < self.until

    def fits(self, due: Due) -> bool:
        """Whether something due is what it silences: all that it names must agree."""
        return (
            self.kind in (None, due.kind)
            and self.quota in (None, due.quota)
            and self.department in (None, due.department)
        )


def silence_for(due: Due, silences: Iterable[Silence], moment: datetime) -> int | None:
    """The silence that keeps something from being told; of several the first."""
    return next((one.id for one in silences if one.holds(moment) and one.fits(due)), None)


def read_silences(connection: Connection) -> list[Silence]:
    """All of them by id, lifted and past ones too."""
    rows = connection.execute(
        text("""select s.id, s.kind, s.quota_id, s.department, s.until, s.reason, s.actor, s.recorded_at,
                       l.id as lifted_by
                from alert_silence s left join alert_silence l on l.lifts = s.id
                where s.lifts is null order by s.id""")
    )
    return [Silence(*row) for row in rows]


def add_silence(
    connection: Connection,
    *,
    kind: str | None,
    quota: int | None,
    department: str | None,
    until: datetime,
    reason: str,
    actor: str,
    moment: datetime,
) -> int:
    """Silence from now on; the id. The billing login. Raises BillingError for one that says nothing."""
    if kind is None and quota is None and department is None:
        raise BillingError(Sentence("a silence of everything is refused: name a kind, a quota or a department"))
    if until <= moment:
        raise BillingError(
            Sentence("until is %(until)s, which has passed: name a later instant", until=f"{until:%Y-%m-%dT%H:%MZ}")
        )
    _check_reason(reason)
    if quota is not None and not connection.execute(text("select 1 from quota where id = :id"), {"id": quota}).scalar():
        raise BillingError(f"there is no quota {quota}: `jangbu quota list --all` shows their numbers")
    row = connection.execute(
        text("""insert into alert_silence (kind, quota_id, department, until, reason, actor)
                values (:kind, :quota, :department, :until, :reason, :actor) returning id"""),
        {"kind": kind, "quota": quota, "department": department, "until": until, "reason": reason, "actor": actor},
    )
    return int(row.scalar_one())


def lift_silence(connection: Connection, silence_id: int, *, reason: str, actor: str) -> int:
    """End a silence; the id of the row that does. Raises BillingError for one that is not there or has been lifted."""
    _check_reason(reason)
    found = {one.id: one for one in read_silences(connection)}.get(silence_id)
    if found is None:
        raise BillingError(
            Sentence("there is no silence %(number)s: `jangbu alert silences` lists them", number=silence_id)
        )
    if found.lifted_by is not None:
        raise BillingError(
            Sentence(
                "silence %(number)s has been lifted already (by row %(row)s)",
                number=silence_id, row=found.lifted_by,
            )
        )
    row = connection.execute(
        text("""insert into alert_silence (lifts, reason, actor) values (:lifts, :reason, :actor) returning id"""),
        {"lifts": silence_id, "reason": reason, "actor": actor},
    )
    return int(row.scalar_one())


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise BillingError(
            Sentence(
                "the reason is %(reason)s…: say why, in 1 to %(most)s characters",
                reason=repr(reason[:20]), most=REASON_CHARACTERS_MAX,
            )
        )
