"""The month itself: every request that the city really made, hour by hour, whether the gateway saw it or not.

Pure and seeded: the same plan gives the same calls. What goes wrong on the way to us (copies, late files, nonsense) is
not here but in `jangbu.demo.gateway`; what the vendor makes of it is in `jangbu.demo.vendor_bill`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

from jangbu.demo.hours import SEOUL, is_day_off, month_hours
from jangbu.demo.models import BATCHED, BY_NAME, BYPASSED, Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.demo.people import Caller, City, Plan

Wire = Literal["usage", "litellm", "response"]
HOUR_MS = 3_600_000
BATCH_HOUR = 2
"""The hour (KST) of the nightly batch."""
PURPOSES = ("draft", "summary", "translation", "petition", "data", "code")
EVENTS_A_BYPASS = 700
EVENTS_A_BATCH_CALL = 260


class Call(NamedTuple):
    """One request as it happened, or one attempt of it.

    time_ms: milliseconds since 1970 UTC. department: as the gateway names it, None where the roster is to decide.
    units: disjoint counts as the gateway was told. wire: in which format it reaches us.
    via_gateway: False for a call with a key of one's own, which only the vendor knows of.
    unseen_output_tokens: of a stream that broke off on our side: what the vendor produced beyond what we saw.
    """

    id: str
    attempt: int
    wire: Wire
    time_ms: int
    user: str | None
    key: str | None
    department: str | None
    model: Model
    account: str | None
    units: dict[str, int]
    service_tier: str = "standard"
    status: str = "success"
    usage_source: str = "provider"
    purpose: str | None = None
    via_gateway: bool = True
    unseen_output_tokens: int = 0


def month_calls(plan: Plan, city: City) -> Iterator[Call]:
    """Every call of the month, by the hour in which its request began; from the Korean month's begin to the UTC
    month's end, whichever is later (`hours.month_hours`)."""
    rng = random.Random(f"jangbu month {plan.month} {plan.seed}")  # noqa: S311 - an invented city, no secret
    hours = month_hours(plan.month)
    people = city.staff + city.apps[1:] + city.strangers
    activity = list(accumulate(caller.activity for caller in people))
    batch_calls = max(1, plan.events // EVENTS_A_BATCH_CALL // 31)
    lab_hours = _lab_hours(hours, max(3, plan.events // EVENTS_A_BYPASS))
    total_weight = sum(weight for _, weight in hours)
    given, passed = 0, 0.0
    for begin, weight in hours:
        passed += weight
        count = round(plan.events * passed / total_weight) - given
        given += count
        begin_ms = round(begin.timestamp() * 1000)
        offsets_ms = sorted(rng.randrange(HOUR_MS) for _ in range(count))
        callers = rng.choices(people, cum_weights=activity, k=count)
        for offset_ms, caller in zip(offsets_ms, callers, strict=True):
            yield from _request(rng, caller, begin_ms + offset_ms)
        if begin.hour == BATCH_HOUR:
            for _ in range(batch_calls):
                yield _batch_call(rng, city.apps[0], begin_ms + rng.randrange(HOUR_MS))
        for _ in range(lab_hours.get(begin, 0)):
            yield _bypassing_call(rng, begin_ms + rng.randrange(HOUR_MS))


def _request(rng: random.Random, caller: Caller, time_ms: int) -> Iterator[Call]:
    """A request and, where its first attempt fails, the second, which is a charge of its own."""
    model = caller.pick(rng.random())
    call = _first_attempt(rng, caller, model, time_ms)
    chance = rng.random()
    if chance < 0.007:
        yield call._replace(wire="usage", units={"requests": 1}, status="cached")
    elif chance < 0.012 and model.provider != "perplexity":  # Perplexity charges the request itself
        yield call._replace(wire="usage", units={"requests": 1}, status="failure", usage_source="missing")
        yield call._replace(id=f"{call.id[:-1]}2", attempt=2, time_ms=time_ms + rng.randrange(1_500, 9_000))
    elif chance < 0.017:
        yield _broken_off(rng, call)
    else:
        yield call


def _first_attempt(rng: random.Random, caller: Caller, model: Model, time_ms: int) -> Call:
    units = _units(rng, model)
    department = None
    if caller.user is not None and caller.department is not None and rng.random() < 0.4:
        department = caller.department_at(datetime.fromtimestamp(time_ms / 1000, SEOUL))
    account = None
    if model.provider == "openai":
        account = "proj_staff" if caller.user is not None else "proj_apps"
    return Call(
        id=f"chatcmpl-{rng.getrandbits(96):024x}:1",
        attempt=1,
        wire=_wire(rng, model, units),
        time_ms=time_ms,
        user=caller.user,
        key=caller.key,
        department=department,
        model=model,
        account=account,
        units=units,
        purpose=rng.choice(PURPOSES) if rng.random() < 0.3 else None,
    )


def _units(rng: random.Random, model: Model) -> dict[str, int]:
    """Sizes are log-normal: most requests are small, few are whole files."""
    prompt = min(max(int(model.prompt_tokens * rng.lognormvariate(0, 0.9)), 8), 190_000)
    answer = max(int(model.answer_tokens * rng.lognormvariate(0, 0.7)), 2)
    units = {"input_tokens": prompt}
    if model.cached and rng.random() < model.cached:
        units["cache_read_tokens"] = int(prompt * rng.uniform(0.3, 0.85))
        units["input_tokens"] = prompt - units["cache_read_tokens"]
    elif model.provider == "anthropic" and rng.random() < 0.12:
        lifetime = "5m" if rng.random() < 0.8 else "1h"
        units[f"cache_write_{lifetime}_tokens"] = int(prompt * rng.uniform(0.4, 0.8))
        units["input_tokens"] = prompt - units[f"cache_write_{lifetime}_tokens"]
    elif model.provider == "google" and rng.random() < 0.04:
        units["image_input_tokens"] = 258 * rng.randrange(1, 9)
    reasoning = int(answer * rng.uniform(0, 2 * model.thinking)) if model.thinking else 0
    units["output_tokens"] = answer
    if reasoning:
        units["reasoning_tokens"] = reasoning
    if model.searches and rng.random() < model.searches:
        units["web_searches"] = rng.randrange(1, 4)
    units["requests"] = 1
    return units


def _wire(rng: random.Random, model: Model, units: dict[str, int]) -> Wire:
    """Most requests come as usage events, some through LiteLLM, some as recorded answers of the vendor."""
    chance = rng.random()
    if chance < 0.8 or "web_searches" in units:
        return "usage"
    if chance < 0.92:
        return "litellm" if model.gateway_provider is not None and "image_input_tokens" not in units else "usage"
    return "response" if model.wire is not None else "usage"


def _broken_off(rng: random.Random, call: Call) -> Call:
    """A stream that ended before its last chunk, which holds the counts: the gateway estimates what came through."""
    whole = call.units["output_tokens"]
    seen = max(1, int(whole * rng.uniform(0.2, 0.9)))
    return call._replace(
        wire="usage",
        units={**call.units, "output_tokens": seen},
        status="cut",
        usage_source="estimated",
        unseen_output_tokens=whole - seen + rng.randrange(5, 60),
    )


def _batch_call(rng: random.Random, app: Caller, time_ms: int) -> Call:
    model = BY_NAME[BATCHED]
    call = _first_attempt(rng, app, model, time_ms)
    return call._replace(wire="usage", service_tier="batch", purpose="archive")


def _bypassing_call(rng: random.Random, time_ms: int) -> Call:
    model = BY_NAME[BYPASSED]
    prompt, answer = int(9_000 * rng.lognormvariate(0, 0.6)), int(2_200 * rng.lognormvariate(0, 0.5))
    units = {"input_tokens": min(prompt, 190_000), "output_tokens": answer, "requests": 1}
    return Call(f"lab-{rng.getrandbits(64):016x}", 1, "usage", time_ms, None, None, None, model, "proj_lab", units,
                via_gateway=False)


def _lab_hours(hours: list[tuple[datetime, float]], calls: int) -> dict[datetime, int]:
    """When the laboratory works past the gateway: on two working days from the 20th on, 10:00 to 17:00 KST."""
    days = sorted({begin.date() for begin, _ in hours if begin.day >= 20 and not is_day_off(begin.date())})[:2]
    open_hours = [begin for begin, _ in hours if begin.date() in days and 10 <= begin.hour < 17]
    shares = {begin: calls // len(open_hours) for begin in open_hours}
    for begin in open_hours[: calls % len(open_hours)]:
        shares[begin] += 1
    return shares


def time_text(time_ms: int) -> str:
    """Milliseconds since 1970 as an event writes them: RFC 3339 in UTC."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
