"""Who works in the demo's city hall: people with two or three favourite models, moves within the month, applications.

Everything is drawn from one seeded generator, in a fixed order: the same plan gives the same city.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from jangbu.demo.departments import DEPARTMENTS
from jangbu.demo.hours import SEOUL, is_day_off
from jangbu.demo.models import BATCHED, BY_NAME, MODELS, Model

ACTIVE_SHARE = 0.63
"""6,318 of about 10,000 people used the first house's models (design.md, head)."""
USERS_AN_APP = 350
USERS_A_STRANGER = 280
APPS_MAX = 28


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes a demo: equal plans make equal files. `month` is YYYY-MM in KST."""

    month: str
    users: int
    events: int
    seed: int


class Move(NamedTuple):
    """From this midnight (KST) on somebody belongs to another department."""

    since: datetime
    department: str


class Caller(NamedTuple):
    """Somebody or something that asks models.

    user: None for an application, which is known by its key. department: None for strangers to the roster.
    models and weights: favourites, with running sums of how much each is liked.
    """

    user: str | None
    key: str | None
    department: str | None
    move: Move | None
    models: tuple[Model, ...]
    weights: tuple[float, ...]
    activity: float

    def department_at(self, moment: datetime) -> str | None:
        """Where the caller belongs at a moment."""
        return self.move.department if self.move is not None and moment >= self.move.since else self.department

    def pick(self, chance: float) -> Model:
        """A favourite, by a number from 0 to 1."""
        return self.models[bisect(self.weights, chance * self.weights[-1], 0, len(self.models) - 1)]


class City(NamedTuple):
    """Callers in a fixed order: staff (the first `plan.users`), then applications, then strangers."""

    staff: tuple[Caller, ...]
    apps: tuple[Caller, ...]
    strangers: tuple[Caller, ...]

    @property
    def callers(self) -> tuple[Caller, ...]:
        return self.staff + self.apps + self.strangers


def make_city(plan: Plan) -> City:
    """The people and applications of a plan."""
    rng = random.Random(f"jangbu city {plan.seed}")  # noqa: S311 - an invented city, no secret
    codes = [department.code for department in DEPARTMENTS]
    sizes = list(accumulate(department.weight * rng.uniform(0.7, 1.4) for department in DEPARTMENTS))
    keen = {code: rng.lognormvariate(0, 0.45) for code in codes}
    move_days = _move_days(plan.month)
    staff = []
    for number in range(1, plan.users + 1):
        department = rng.choices(codes, cum_weights=sizes)[0]
        activity = rng.lognormvariate(0, 1.0) * keen[department] if rng.random() < ACTIVE_SHARE else 0.0
        move = None
        if move_days and rng.random() < 0.012:
            move = Move(rng.choice(move_days), rng.choice(codes))
        models, weights = _favourites(rng)
        staff.append(Caller(f"u-{number:05d}", None, department, move, models, weights, activity))
    total = sum(caller.activity for caller in staff) or 1.0
    apps = _apps(rng, min(APPS_MAX, max(3, plan.users // USERS_AN_APP)), total)
    strangers = []
    for number in range(1, max(2, plan.users // USERS_A_STRANGER) + 1):
        models, weights = _favourites(rng)
        strangers.append(Caller(f"temp-{number:03d}", None, None, None, models, weights, total / plan.users))
    return City(tuple(staff), tuple(apps), tuple(strangers))


def _favourites(rng: random.Random) -> tuple[tuple[Model, ...], tuple[float, ...]]:
    """Two or three different models, the first liked best."""
    names = list(dict.fromkeys(rng.choices(MODELS, [model.share for model in MODELS], k=5)))[: rng.choice((2, 3, 3))]
    return tuple(names), tuple(accumulate(1 / (1 + 1.3 * place) for place in range(len(names))))


def _apps(rng: random.Random, count: int, staff_activity: float) -> list[Caller]:
    """Applications with a key of their own; together 6 % of all requests. The first runs the nightly batch."""
    apps = []
    for number, department in enumerate(rng.sample(DEPARTMENTS, count), 1):
        models = (BY_NAME[BATCHED],) if number == 1 else (rng.choice(MODELS[:22]),)
        key = f"app-{department.code}-{number:02d}"
        apps.append(Caller(None, key, department.code, None, models, (1.0,), 0.06 * staff_activity / count))
    return apps


def _move_days(month: str) -> list[datetime]:
    """Midnights in KST of the working days from the 5th to the 25th."""
    first = datetime.fromisoformat(f"{month}-05").replace(tzinfo=SEOUL)
    days = [first + timedelta(days=number) for number in range(21)]
    return [day for day in days if not is_day_off(day.date())]
