"""The pages on a year of the house: how long the server takes for each, how large they are, when a browser paints.

The ledger holds twelve months of sums, filled as for the month end; the same again at a tenth of the events. `jangbu
serve` runs in a process of its own. USERS people, signed in, each open a page every PAUSE_S seconds, in an order of
their own and of a department and a model of their own; a page's time is from its request to the last byte. Each page is
opened once before, of the largest department, as somebody did today. Then the same again while use comes in for the
month that all look at, a sum every COMES_S seconds.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import httpx

from billing.periods import month_in
from jangbu.demo.departments import DEPARTMENTS
from jangbu.demo.models import MODELS
from jangbu.services.ports import free_port, is_listening
from tests.bench.freshness import percentile
from tests.bench.month_filling import (
    MONTH,
    ZONE,
    add_months,
    fill_month,
    import_prices_and_rates,
    order_days,
    roll_up,
)
from tests.bench.report import Figure, Findings
from tests.bench.stage import Disturbed, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jangbu.services.postgres import DatabaseUrls
    from tests.bench.stage import Stage

CHECKOUT = str(Path(__file__).resolve().parents[2])
USERS, PAUSE_S, ROUNDS = 20, 2.0, 2
COMES_S = 1.0
AIM_S, AIM_BYTES, AIM_PAINT_S, AIM_GROWTH = 0.2, 150_000, 1.0, 1.5
START_S = 60.0
YEAR = 12
PAINT_TRIES = 100


@dataclass(frozen=True)
class Visit:
    """What was measured of one database: seconds and bytes by page. `running`: seconds while use came in; `first_s`: of
    who opened it first."""

    seconds: Mapping[str, Sequence[float]]
    running: Mapping[str, Sequence[float]]
    first_s: Mapping[str, float]
    sizes: Mapping[str, int]
    paint_s: float | None

    @property
    def p95_s(self) -> float:
        """Over all pages that were opened."""
        return _p95(self.seconds)


def _p95(seconds: Mapping[str, Sequence[float]]) -> float:
    return percentile([one for many in seconds.values() for one in many], 0.95)


def measure(stage: Stage, events_a_month: int, say: Callable[[str], None]) -> Findings:
    """Fill a year twice, visit both. Raises Disturbed where a page does not answer 200."""
    found = []
    for events in (events_a_month // 10, events_a_month):
        with stage.database() as urls, tempfile.TemporaryDirectory(prefix="jangbu-pages-") as directory:
            import_prices_and_rates(urls)
            filled = fill_month(urls, stage.house, events, say)
            add_months(urls.owner, months_before())
            roll_up(urls.worker)
            order_days(urls)
            say(f"pages: a year of {filled.events * YEAR:,} events")
            with served(urls, Path(directory)) as address:
                found.append(visit(address, urls, say))
            say(f"pages: p95 {found[-1].p95_s * 1000:.0f} ms")
    small, large = found
    return Findings(figures(small, large), notes(small, large))


def figures(small: Visit, large: Visit) -> list[Figure]:
    """By the bounds, and by the same pages at a tenth of the data."""
    slowest = max(large.seconds, key=lambda path: percentile(large.seconds[path], 0.95))
    slowest_s = percentile(large.seconds[slowest], 0.95)
    heaviest = max(large.sizes, key=lambda path: large.sizes[path])
    growth = {path: median(large.seconds[path]) / median(small.seconds[path]) for path in large.seconds}
    grown = max(growth, key=lambda path: growth[path])
    made = [
        Figure("pages: p95 of all, 20 users / 200 ms", large.p95_s / AIM_S, ("at most", 1), _ms(large.p95_s)),
        Figure("pages: p95 of the slowest / 200 ms", slowest_s / AIM_S, ("at most", 1), f"{_ms(slowest_s)} {slowest}"),
        Figure("pages: the largest / 150 KB", large.sizes[heaviest] / AIM_BYTES, ("at most", 1),
               f"{large.sizes[heaviest] / 1000:.0f} KB {heaviest}"),
        Figure("pages: p95 at ten times the data / before", large.p95_s / small.p95_s, ("at most", AIM_GROWTH),
               f"{_ms(large.p95_s)} / {_ms(small.p95_s)}"),
        Figure("pages: median that grew most, ten times the data", growth[grown], None, grown),
        Figure("pages: p95 while use comes in / 200 ms", _p95(large.running) / AIM_S, None, _ms(_p95(large.running))),
    ]  # fmt: skip
    if large.paint_s is not None:
        made.append(Figure("pages: first paint in Chromium / 1 s", large.paint_s / AIM_PAINT_S, ("at most", 1),
                           _ms(large.paint_s)))  # fmt: skip
    return made


def notes(small: Visit, large: Visit) -> list[str]:
    """Each page's own figures, the slowest first; beside them at a tenth of the data, and who opened it first."""
    slow = {path: percentile(times, 0.95) for path, times in large.seconds.items()}
    rows = ["| Page | p95 | Median | p95 at a tenth | p95 while use comes in | First | Size |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for path in sorted(slow, key=lambda path: -slow[path]):
        cells = (path, _ms(slow[path]), _ms(median(large.seconds[path])), _ms(percentile(small.seconds[path], 0.95)),
                 _ms(percentile(large.running[path], 0.95)), _ms(large.first_s[path]),
                 f"{large.sizes[path] / 1000:.0f} KB")  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    found = ["\n".join([f"{USERS} users, each a page every {PAUSE_S:g} s, {len(slow)} pages:", "", *rows, ""])]
    if large.paint_s is None:
        found.append("No first paint was measured: there is no `chromium` on the path (`make browser` installs it).")
    return found


def months_before() -> list[str]:
    """The eleven months before MONTH."""
    whole = int(MONTH[:4]) * 12 + int(MONTH[5:]) - 1
    return [f"{one // 12:04d}-{one % 12 + 1:02d}" for one in range(whole - YEAR + 1, whole)]


def paths(number: int = 0) -> dict[str, str]:
    """Every page that needs no more than a month, a department and a model to be asked for, by its place: with those
    that are the person's own."""
    from jangbu.web.pages import REGISTERED
    from jangbu.web.views import View

    department = sorted(DEPARTMENTS, key=lambda one: -one.weight)[number % len(DEPARTMENTS)]
    model = MODELS[number % len(MODELS)]
    known = {"month": MONTH, "department": department.code, "provider": model.provider, "model": model.name}
    found = {}
    for one in REGISTERED:
        if not isinstance(one, View) or one.path == "/me":
            continue
        names = re.findall(r"\{(\w+)(?::\w+)?\}", one.path)
        if set(names) <= set(known):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda hit: known[hit[1]], one.path)
            takes_month = any(parameter.name == "month" for parameter in one.parameters)
            found[one.path] = f"{path}?month={MONTH}" if takes_month else path
    return found


@contextmanager
def served(urls: DatabaseUrls, directory: Path) -> Iterator[str]:
    """`jangbu serve` on a database; its address."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    environment |= {"JANGBU_DATABASE_URL" + ("" if role == "owner" else f"_{role.upper()}"): url
                    for role, url in urls.as_dict().items()}  # fmt: skip
    environment |= {"JANGBU_DATA_DIR": str(directory / "data"), "PYTHONPATH": CHECKOUT}
    command = [sys.executable, "-m", "jangbu", "serve", "--no-publish", "--port", str(port)]
    log = directory / "serve.log"
    with log.open("wb") as target:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=target, stderr=target)
    try:
        deadline_s = time.monotonic() + START_S
        while not is_listening(port):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise Disturbed(f"`jangbu serve` does not serve: {log.read_text()}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def visit(address: str, urls: DatabaseUrls, say: Callable[[str], None]) -> Visit:
    """Open every page once, then as USERS people do; then once in a browser."""
    password = secrets.token_urlsafe(16)
    _make_account(urls, password)
    cookies = _signed_in(address, password)
    asked = paths()
    first_s: dict[str, float] = {}
    sizes: dict[str, int] = {}
    with httpx.Client(base_url=address, cookies=cookies, timeout=300) as client:
        for place, path in asked.items():
            began_s = time.perf_counter()
            sizes[place] = len(_opened(client.get(path)))
            first_s[place] = time.perf_counter() - began_s
    say(f"pages: {len(asked)} pages are there")
    seconds: dict[str, list[float]] = {place: [] for place in asked}
    running: dict[str, list[float]] = {place: [] for place in asked}
    asyncio.run(_crowd(address, cookies, seconds))
    with _use_comes(urls):
        asyncio.run(_crowd(address, cookies, running))
    return Visit(seconds, running, first_s, sizes, _first_paint(address, cookies))


@contextmanager
def _use_comes(urls: DatabaseUrls) -> Iterator[None]:
    """Until the block ends, a request more every COMES_S seconds in the last hour of MONTH that has any."""
    ended = threading.Event()
    more = """insert into usage_part (hour, route_id, payer_id, partition, log_id, events, requests)
              select hour, route_id, payer_id, partition, log_id, 0, 1 from usage_part where hour = %s limit 1"""

    def come() -> None:
        with connect(urls.worker) as connection:
            (last,) = connection.execute("select max(hour) from usage_part where hour < %s", (end,)).fetchone() or (0,)
            while not ended.wait(COMES_S):
                connection.execute(more, (last,))

    end = month_in(MONTH, ZONE).end_hour
    thread = threading.Thread(target=come, name="use")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def _crowd(address: str, cookies: httpx.Cookies, seconds: dict[str, list[float]]) -> None:
    async def person(number: int) -> None:
        choose, asked = Random(number), paths(number)
        async with httpx.AsyncClient(base_url=address, cookies=cookies, timeout=60) as client:
            await asyncio.sleep(choose.random() * PAUSE_S)
            for _ in range(ROUNDS):
                for place in choose.sample(list(asked), len(asked)):
                    began_s = time.perf_counter()
                    _opened(await client.get(asked[place]))
                    took_s = time.perf_counter() - began_s
                    seconds[place].append(took_s)
                    await asyncio.sleep(max(0.0, PAUSE_S - took_s))

    await asyncio.gather(*(person(number) for number in range(USERS)))


def _opened(answer: httpx.Response) -> bytes:
    if answer.status_code != 200:
        raise Disturbed(f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}")
    return answer.content


def _make_account(urls: DatabaseUrls, password: str) -> None:
    from jangbu.database import connect as engine_of
    from jangbu.web.signin.accounts import add_account

    engine = engine_of(urls.billing)
    with engine.begin() as connection:
        add_account(connection, "bench", password, ["finance", "platform"], actor="os:bench")
    engine.dispose()
    with connect(urls.owner) as connection:
        connection.execute("vacuum analyze")


def _signed_in(address: str, password: str) -> httpx.Cookies:
    with httpx.Client(base_url=address, timeout=60) as client:
        page = client.get("/sign-in").text
        before = re.search(r'name="before" value="([^"]*)"', page)
        assert before is not None, page
        fields = {"before": before[1], "next": "/", "name": "bench", "password": password}
        if client.post("/sign-in", data=fields).status_code != 303:
            raise Disturbed("the account of the benchmark cannot sign in")
        return client.cookies


def _first_paint(address: str, cookies: httpx.Cookies) -> float | None:
    """Seconds until Chromium paints the overview for the first time; None without a Chromium."""
    program = shutil.which("chromium")
    if program is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        found = []
        for _ in range(3):
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": address} for name, value in cookies.items()])
            page = context.new_page()
            page.goto(f"{address}/")
            told: list[float] = []
            for _ in range(PAINT_TRIES):  # it is told a little after it was painted
                told = page.evaluate("performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)")
                if told:
                    break
                page.wait_for_timeout(50)
            else:
                raise Disturbed("Chromium does not say when it painted the overview")
            found.append(float(told[0]) / 1000)
            context.close()
        browser.close()
    return median(found)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
