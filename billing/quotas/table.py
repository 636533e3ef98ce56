"""Which quotas a request would count against: the rows that hold, ready to be asked by user and department. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.quotas.quota import EACH, Quota, QuotaKey, in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class _Held(NamedTuple):
    """The quotas of a stretch of time, half-open, by scope and subject."""

    since: datetime
    until: datetime
    by_subject: dict[tuple[str, str], list[Quota]]
    by_id: dict[int, Quota]
    keys: frozenset[QuotaKey]


class QuotaTable:
    """All quota rows; those in force at the moment of asking count."""

    def __init__(self, rows: Iterable[Quota]) -> None:
        self.rows = tuple(rows)
        self.ids = frozenset(row.id for row in self.rows)
        self._keys = {row.id: row.key for row in self.rows}
        self._ids: dict[QuotaKey, list[int]] = {}
        for row in self.rows:
            self._ids.setdefault(row.key, []).append(row.id)
        self._held = _Held(_LAST, _LAST, {}, {}, frozenset())

    def in_force(self, moment: datetime) -> list[Quota]:
        """The quotas that hold at an instant."""
        return [quota for held in self._at(moment).by_subject.values() for quota in held]

    def by_id(self, moment: datetime, quota_id: int) -> Quota | None:
        """A quota by its row, where that holds at an instant."""
        return self._at(moment).by_id.get(quota_id)

    def rows_of(self, quota_id: int, subject: str) -> list[int]:
        """Every row that says, or said, how much a subject may use of what a row limits in the same window: whatever
        counted against one of them counts against the one that holds now."""
        key = self._keys[quota_id]
        return [one for who in dict.fromkeys((subject, EACH)) for one in self._ids.get(key._replace(subject=who), ())]

    def same_until(self, moment: datetime) -> datetime:
        """Until when the same rows hold as at an instant."""
        return self._at(moment).until

    def about(
        self, moment: datetime, user: str | None, department: str | None, programmes: Iterable[str] = ()
    ) -> Iterator[tuple[Quota, str]]:
        """The quotas that a request of a user and department, who has places in programmes, would count against, of
        whatever model, with the subject that each then counts for."""
        held = self._at(moment)
        in_programmes = (("programme", code) for code in programmes)
        for scope, subject in (("organisation", ""), ("department", department), *in_programmes, ("user", user)):
            if subject is None:
                continue
            for quota in held.by_subject.get((scope, subject), ()):
                if quota.key.subject != EACH or scope == "organisation":
                    yield quota, subject
            if scope != "organisation":
                for quota in held.by_subject.get((scope, EACH), ()):
                    if quota.key._replace(subject=subject) not in held.keys:
                        yield quota, subject

    def _at(self, moment: datetime) -> _Held:
        held = self._held
        if not held.since <= moment < held.until:
            held = self._held = self._read(moment)
        return held

    def _read(self, moment: datetime) -> _Held:
        edges = {edge for row in self.rows for edge in (row.valid_from, row.valid_to) if edge is not None}
        quotas = in_force(self.rows, moment)
        by_subject: dict[tuple[str, str], list[Quota]] = {}
        for quota in quotas:
            by_subject.setdefault((quota.key.scope, quota.key.subject), []).append(quota)
        return _Held(
            max((edge for edge in edges if edge <= moment), default=_FIRST),
            min((edge for edge in edges if edge > moment), default=_LAST),
            by_subject,
            {quota.id: quota for quota in quotas},
            frozenset(quota.key for quota in quotas),
        )
