"""Checking the laws (design.md, section 3): as SQL in `sql/checks/`; what SQL cannot say of law 3 in `billing.laws`, of
law 8 in `billing.alerts.law`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text

from billing.alerts.law import ALERTS, check_alerts
from billing.laws import ROUNDING, check_rounding
from jangbu.migrate import sql_directory
from jangbu.money_policy import policy_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from jangbu.settings import Settings


@dataclass(frozen=True, slots=True)
class LawResult:
    """A law's id, how many facts were looked at, a sentence for each that does not hold, and one for what could not be
    judged."""

    law: str
    checked: int
    violations: list[str]
    not_judged: list[str] = field(default_factory=list)


def audit(settings: Settings, engine: Engine) -> list[LawResult]:
    """Every law that applies so far, in their order, on one snapshot. `engine` is the reader's."""
    with engine.connect() as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        results = [run_check(connection, file.stem) for file in sorted((sql_directory() / "checks").glob("*.sql"))]
        rounding = check_rounding(connection, policy_of(settings))
        alerts = check_alerts(connection)
        connection.rollback()
    beside = {ROUNDING: LawResult(ROUNDING, rounding.checked, list(rounding.violations)),
              ALERTS: LawResult(ALERTS, alerts.checked, list(alerts.violations), list(alerts.not_judged))}  # fmt: skip
    return [_together(one, beside[one.law]) if one.law in beside else one for one in results]


def _together(one: LawResult, other: LawResult) -> LawResult:
    """One law, judged in two ways."""
    return LawResult(one.law, one.checked + other.checked, [*one.violations, *other.violations],
                     [*one.not_judged, *other.not_judged])  # fmt: skip


def run_check(connection: Connection, law: str) -> LawResult:
    """One law that SQL can say, in the state that the connection sees."""
    query = (sql_directory() / "checks" / f"{law}.sql").read_text(encoding="utf-8")
    checked, violations = connection.execute(text(query.replace(":", r"\:"))).one()
    return LawResult(law, int(checked), list(violations))


def take_out_copies(engine: Engine) -> int:
    """Copies of one event with times in different hours leave sums and ledger for quarantine; how many did.

    `engine` is billing's. Run before the laws are checked, and before anything is booked.
    """
    with engine.begin() as connection:
        return int(connection.execute(text("select take_out_copies()")).scalar_one())
