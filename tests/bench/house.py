"""The house whose use is measured: people who prefer two or three of 29 models, working days, random event ids.

Departments, models and the shape of a day are the demo's (`jangbu.demo`). Every one of the people works on every day,
so that there are more different sums in an hour than in the demo, where a third of the people never ask. A gateway
names the department of four people in ten; the others' is found in the roster.

Made for speed: all that does not change from event to event is JSON once a template (person, model, variant), the rest
is drawn by numpy, so that an event costs about 1 µs. The truth is counted from the templates, never from the JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from jangbu.demo.departments import DEPARTMENTS
from jangbu.demo.hours import SEOUL, hour_weights
from jangbu.demo.models import MODELS
from tests.bench.truth import UNITS, Truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PEOPLE = 10_000
VARIANTS = 6
"""Different requests of one person to one model."""
PREFERENCE = (1.0, 1 / 2.3, 1 / 3.6)
"""How much the first, second and third favourite are liked: as in the demo (`jangbu.demo.people`)."""
NAMED_SHARE = 0.4
SOURCE = "gateway-1"
FIRST_DAY = date(2026, 10, 12)
"""A Monday without a holiday in its week; later days count on from it, weekends taken for working days."""
ARRIVES_AFTER_MS = 1_500
HOUR_MS = 3_600_000
BLOCK_EVENTS = 50_000
_PLACES = len(PREFERENCE)
_HEAD = b'{"specversion":"1.0","type":"ai.usage.v1","source":"gateway-1","id":"chatcmpl-'
_encode = msgspec.json.Encoder().encode


class Event(NamedTuple):
    """One event as a Kafka record."""

    key: bytes
    value: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Day:
    """The events of one day, in order of time: when (ms since 1970 UTC), by which template, with which random bytes."""

    number: int
    begin_ms: int
    time_ms: NDArray[np.int64]
    template: NDArray[np.int64]
    seed: int

    def __len__(self) -> int:
        return len(self.time_ms)


class House:
    """People, their favourites, and their requests as templates. The same seed gives the same house."""

    def __init__(self, people: int = PEOPLE, seed: int = 1) -> None:
        rng = np.random.default_rng([seed, 0])
        sizes = np.array([department.weight for department in DEPARTMENTS], dtype=np.float64)
        shares = np.array([model.share for model in MODELS], dtype=np.float64)
        # Ordered draws without replacement: the largest of log(share) + Gumbel noise, the second largest, ...
        liking = np.log(shares) + rng.gumbel(size=(people, len(MODELS)))
        self._favourites = np.argsort(-liking, axis=1)[:, :_PLACES]
        has_three = rng.random(people) < 2 / 3
        weights = np.array(PREFERENCE) * np.column_stack([np.ones(people), np.ones(people), has_three])
        self._chances = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        self._seed = seed
        self.people = people
        self.department_of = rng.choice(len(DEPARTMENTS), size=people, p=sizes / sizes.sum())
        self.is_named = rng.random(people) < NAMED_SHARE
        self.tails: list[bytes] = []
        """JSON of an event after its time, by template."""
        self.template_model: NDArray[np.int64] = np.repeat(self._favourites.reshape(-1), VARIANTS)
        self.template_department: NDArray[np.int64] = np.repeat(self.department_of, _PLACES * VARIANTS)
        self.template_units = self._units(rng)
        self._write_tails()

    def roster(self) -> Iterator[tuple[str, str]]:
        """(user, department) of everybody."""
        for person in range(self.people):
            yield f"u-{person:05d}", DEPARTMENTS[self.department_of[person]].code

    def day(self, number: int, events: int) -> Day:
        """The `number`-th day from FIRST_DAY on, with so many events. Days are independent of each other."""
        rng = np.random.default_rng([self._seed, 1, number])
        begin = datetime.combine(FIRST_DAY + timedelta(days=number), datetime.min.time(), SEOUL)
        begin_ms = int(begin.timestamp()) * 1000
        weights = np.array(hour_weights(FIRST_DAY), dtype=np.float64)
        hours = np.repeat(np.arange(24), rng.multinomial(events, weights / weights.sum()))
        time_ms = np.sort(begin_ms + hours * HOUR_MS + rng.integers(HOUR_MS, size=events))
        return Day(number, begin_ms, time_ms, self._templates(rng, events), self._seed)

    def events(self, day: Day) -> Iterator[Event]:
        """A day's events in order of time. Fast: a few concatenations each."""
        tails, seconds = self.tails, _seconds_of(day.begin_ms)
        milliseconds = [b".%03dZ" % number for number in range(1000)]
        rng = np.random.default_rng([day.seed, 2, day.number])
        for first in range(0, len(day), BLOCK_EVENTS):
            times = day.time_ms[first : first + BLOCK_EVENTS]
            ids = rng.bytes(16 * len(times)).hex().encode()
            within = times - day.begin_ms
            columns = (
                range(0, 32 * len(times), 32), times.tolist(), (within // 1000).tolist(), (within % 1000).tolist(),
                day.template[first : first + BLOCK_EVENTS].tolist(),
            )  # fmt: skip
            for at, time_ms, second, millisecond, template in zip(*columns, strict=True):
                name = ids[at : at + 32]
                yield Event(
                    b"gateway-1/chatcmpl-" + name + b":1",
                    _HEAD + name + b':1","time":"' + seconds[second] + milliseconds[millisecond] + tails[template],
                    time_ms + ARRIVES_AFTER_MS,
                )

    def tails_of(self, events: int, seed: int) -> list[bytes]:
        """Templates' JSON for so many events of any time."""
        rng = np.random.default_rng([self._seed, 3, seed])
        return [self.tails[template] for template in self._templates(rng, events).tolist()]

    def truth(self, day: Day, events: int | None = None) -> Truth:
        """What a right ledger holds of a day, or of its first events."""
        template, hour = day.template[:events], day.time_ms[:events] // HOUR_MS
        department, model = self.template_department[template], self.template_model[template]
        first_hour = day.begin_ms // HOUR_MS
        by_hour = _sums((hour - first_hour) * len(DEPARTMENTS) + department, self.template_units[template])
        by_model = _sums(department * len(MODELS) + model, self.template_units[template])
        codes = [department.code for department in DEPARTMENTS]
        return Truth(
            {
                (first_hour + place // len(codes), codes[place % len(codes)]): sums
                for place, sums in by_hour.items()
            },
            {
                (codes[place // len(MODELS)], MODELS[place % len(MODELS)].name): sums
                for place, sums in by_model.items()
            },
        )

    def _templates(self, rng: np.random.Generator, events: int) -> NDArray[np.int64]:
        """Who asks which favourite in which variant, by the number of the template."""
        person = rng.integers(self.people, size=events)
        chance = rng.random(events)
        place = (chance >= self._chances[person, 0]).astype(np.int64) + (chance >= self._chances[person, 1])
        templates: NDArray[np.int64] = (person * _PLACES + place) * VARIANTS + rng.integers(VARIANTS, size=events)
        return templates

    def _units(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Quantities by template, in the order of UNITS (the number of events stands first and is 1)."""

        def drawn(medians: list[int]) -> NDArray[np.int64]:
            noise = rng.lognormal(0, 0.8, size=len(self.template_model))
            return (np.array(medians)[self.template_model] * noise).astype(np.int64)

        prompt = drawn([model.prompt_tokens for model in MODELS])
        answer = drawn([model.answer_tokens for model in MODELS])
        cached_share = np.array([model.cached for model in MODELS])[self.template_model]
        cached = np.where(rng.random(len(prompt)) < cached_share, prompt * 3 // 4, 0)
        thinking = np.array([int(model.thinking * 100) for model in MODELS])[self.template_model]
        reasoning = answer * thinking // 100
        ones = np.ones_like(prompt)
        return np.column_stack([ones, prompt - cached, cached, answer - reasoning, reasoning, ones])

    def _write_tails(self) -> None:
        models, departments = self.template_model.tolist(), self.template_department.tolist()
        named, thinks = self.is_named.tolist(), [model.thinking > 0 for model in MODELS]
        for template, (_, fresh, cached, answer, reasoning, requests) in enumerate(self.template_units.tolist()):
            model, person = models[template], template // (_PLACES * VARIANTS)
            units = {"input_tokens": fresh, "cache_read_tokens": cached, "output_tokens": answer, "requests": requests}
            if thinks[model]:
                units["reasoning_tokens"] = reasoning
            data = {
                "department": DEPARTMENTS[departments[template]].code if named[person] else None, "key": None,
                "model": MODELS[model].name, "provider": MODELS[model].provider, "account": "proj_staff",
                "operation": "chat", "attempt": 1, "service_tier": "standard", "region": None, "status": "success",
                "usage_source": "provider", "units": units,
            }  # fmt: skip
            self.tails.append(b'","subject":"u-%05d","data":%b}' % (person, _encode(data)))


def _sums(group: NDArray[np.int64], units: NDArray[np.int64]) -> dict[int, tuple[int, ...]]:
    """Sums of whole numbers by group, for the groups that occur."""
    sums = np.zeros((int(group.max(initial=0)) + 1, len(UNITS)), dtype=np.int64)
    for unit in range(len(UNITS)):
        np.add.at(sums[:, unit], group, units[:, unit])
    return {int(place): tuple(sums[place].tolist()) for place in np.flatnonzero(sums[:, 0])}


def _seconds_of(begin_ms: int) -> list[bytes]:
    """RFC 3339 up to the second, for each second of a day."""
    begin = datetime.fromtimestamp(begin_ms / 1000, UTC)
    hours = [(begin + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:") for hour in range(24)]
    return [f"{hour}{second // 60:02d}:{second % 60:02d}".encode() for hour in hours for second in range(3600)]
