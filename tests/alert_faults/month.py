"""A month by seed: quotas, what happens on each day, and which alerts are due at its end. The oracle is its own
arithmetic: nothing of billing is used."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streams.chunk import Chunk, Record

ZONE = "Asia/Seoul"
SEOUL = ZoneInfo(ZONE)
PARTITIONS = 3
MODELS = ("gpt-x", "gpt-y", "claude-z")
LATE_SHARE, COPY_SHARE = 0.05, 0.03
CHUNK_EVENTS = 100
SHARES = (8, 20, 72)
"""Of quotas by day, week and month where a whole month is lived through: alerts by the ten thousand."""
HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"
HOSTILE = "<script>alert(1)</script>=cmd"


class QuotaLine(NamedTuple):
    """One row of the quotas file. Its number is its id."""

    number: int
    scope: str
    subject: str
    model: str
    unit: str
    limit: int
    window: str
    thresholds: tuple[int, ...]
    notify: tuple[str, ...]

    def csv(self) -> str:
        subject = '"' + self.subject.replace('"', '""') + '"'
        percents = ";".join(map(str, self.thresholds))
        told = ";".join(self.notify)
        return f"{self.scope},{subject},{self.model},{self.unit},{self.limit},{self.window},{percents},{told}"


class Happening(NamedTuple):
    """One event."""

    id: str
    at: datetime
    user: str
    department: str
    model: str
    tokens: int


@dataclass
class Month:
    """Everything that happens, by seed. Chunks of a partition follow each other; offsets count records."""

    seed: int
    quotas_count: int
    days_count: int
    first: date
    events_a_day: int
    quotas: list[QuotaLine] = field(default_factory=list)
    chunks: dict[int, list[tuple[int, Chunk]]] = field(default_factory=lambda: defaultdict(list))
    """By partition: (day, chunk)."""
    happened: dict[str, Happening] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choose = Random(self.seed)
        users = [f"u-{number}" for number in range(max(3, self.quotas_count * 8 // 10))] + [HOSTILE]
        departments = [f"D{number:03}" for number in range(max(2, self.quotas_count // 20))]
        homes = {user: choose.choice(departments) for user in users}
        self.quotas = list(self._quotas(choose, users, departments))
        offsets = dict.fromkeys(range(PARTITIONS), 0)
        for day in range(self.days_count):
            by_partition: dict[int, list[Happening]] = defaultdict(list)
            for _ in range(self.events_a_day):
                one = self._event(choose, users, homes, day)
                by_partition[_partition_of(one.id)].append(one)
            for partition, events in sorted(by_partition.items()):
                for first in range(0, len(events), CHUNK_EVENTS):
                    some = events[first : first + CHUNK_EVENTS]
                    records = [_record(offsets[partition] + place, one) for place, one in enumerate(some)]
                    end = offsets[partition] + len(records)
                    self.chunks[partition].append((day, Chunk(partition, offsets[partition], end, records, 1)))
                    offsets[partition] = end

    def csv(self) -> str:
        """The quotas file."""
        return HEADER + "".join(one.csv() + "\n" for one in self.quotas)

    def clock(self, day: int) -> datetime:
        """When a day is looked at: shortly before it ends."""
        return datetime.combine(self.first + timedelta(days=day), datetime.min.time(), SEOUL) + timedelta(hours=23)

    def end_offsets(self, day: int) -> dict[int, int]:
        """Where each partition stands when a day's events are stored."""
        return {
            partition: max((chunk.next_offset for at, chunk in chunks if at <= day), default=0)
            for partition, chunks in self.chunks.items()
        }

    def due(self) -> dict[str, QuotaLine]:
        """The ids of the alerts that are due when the month is over, with their quota."""
        used: dict[tuple[int, str, int], int] = defaultdict(int)
        own = {(one.scope, one.subject, one.model, one.unit, one.window) for one in self.quotas}
        by_subject: dict[tuple[str, str], list[QuotaLine]] = defaultdict(list)
        for quota in self.quotas:
            by_subject[quota.scope, quota.subject].append(quota)
        for one in self.happened.values():
            for scope, subject in (("organisation", ""), ("department", one.department), ("user", one.user)):
                each = [
                    quota
                    for quota in by_subject.get((scope, "*"), ())
                    if (scope, subject, quota.model, quota.unit, quota.window) not in own
                ]
                for quota in [*by_subject.get((scope, subject), ()), *each]:
                    if quota.model in ("", one.model):
                        more = one.tokens if quota.unit == "tokens" else 1
                        used[quota.number, subject, _window_hour(quota.window, one.at)] += more
        found = {}
        for (number, subject, hour), amount in used.items():
            quota = self.quotas[number - 1]
            for threshold in quota.thresholds:
                if Fraction(amount * 100, quota.limit) >= threshold:
                    key = f"{number}/{hour}/{threshold}/{subject}"
                    found[hashlib.sha256(f"threshold\n{key}".encode()).hexdigest()[:32]] = quota
        return found

    def _quotas(self, choose: Random, users: list[str], departments: list[str]) -> Iterator[QuotaLine]:
        """A row each for most users, some for departments, one for each user without, one for all."""
        a_user_a_day = max(1, self.events_a_day * 500 // len(users))
        seen: set[tuple[str, ...]] = set()
        number = 0
        while number < self.quotas_count:
            scope = choose.choices(("user", "department", "organisation"), (85, 14, 1))[0]
            subject = {"user": choose.choice([*users, "*"]), "department": choose.choice(departments)}.get(scope, "")
            widest = 600 if self.days_count > 7 else 200
            window = choose.choices(("day", "week", "month"), SHARES if self.days_count > 7 else (1, 1, 1))[0]
            unit = choose.choice(("tokens", "tokens", "requests"))
            model = choose.choice(("", "", *MODELS))
            key = (scope, subject, model, unit, window)
            if key in seen:
                continue
            seen.add(key)
            number += 1
            share = {"user": 1, "department": len(users) // len(departments), "organisation": len(users)}[scope]
            days = {"day": 1, "week": 7, "month": 30}[window]
            usual = max(1, a_user_a_day * share * days // (1 if unit == "tokens" else 500))
            thresholds = choose.choice(((50, 80, 100), (90,), (100, 150)))
            notify = tuple(f"r{choose.randrange(200)}@city.example" for _ in range(choose.choice((1, 1, 1, 2))))
            limit = max(1, usual * choose.randint(40, widest) // 100)
            once = tuple(dict.fromkeys(notify))
            yield QuotaLine(number, scope, subject, model, unit, limit, window, thresholds, once)

    def _event(self, choose: Random, users: list[str], homes: dict[str, str], day: int) -> Happening:
        if self.happened and choose.random() < COPY_SHARE:
            return self.happened[f"e-{max(0, len(self.happened) - choose.randint(1, 200))}"]
        back = 1 if day and choose.random() < LATE_SHARE else 0
        start = datetime.combine(self.first + timedelta(days=day - back), datetime.min.time(), SEOUL)
        at = start + timedelta(seconds=choose.randrange(22 * 3600))
        user = choose.choice(users)
        name = f"e-{len(self.happened)}"
        one = Happening(name, at.astimezone(UTC), user, homes[user], choose.choice(MODELS), choose.randint(1, 1000))
        self.happened[name] = one
        return one


def _partition_of(event_id: str) -> int:
    """By the id, so that copies meet."""
    return int(hashlib.sha256(event_id.encode()).hexdigest(), 16) % PARTITIONS


def _window_hour(window: str, at: datetime) -> int:
    day = at.astimezone(SEOUL).date()
    if window == "week":
        day -= timedelta(days=day.weekday())
    elif window == "month":
        day = day.replace(day=1)
    return int(datetime.combine(day, datetime.min.time(), SEOUL).timestamp()) // 3600


def _record(offset: int, one: Happening) -> Record:
    document: dict[str, Any] = {
        "specversion": "1.0", "type": "ai.usage.v1", "source": "gateway-1", "id": one.id,
        "time": one.at.isoformat().replace("+00:00", "Z"), "subject": one.user,
        "data": {"department": one.department, "model": one.model, "provider": "openai",
                 "units": {"input_tokens": one.tokens, "requests": 1}},
    }  # fmt: skip
    written_ms = int(one.at.timestamp() + 60) * 1000
    return Record(offset, written_ms, None, json.dumps(document).encode())
