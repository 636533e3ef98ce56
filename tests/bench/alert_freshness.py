"""How long from accepted to the mailbox: events at a steady rate through outbox, publisher, Kafka, worker, alert
process and SMTP, with 10,000 quotas, some of which are reached by one event each.

Accepted is when `Outbox.append` has returned. In the mailbox is when the mail server of the benchmark has the whole
message. Beside it: what processor time the alert process takes, and what reading all sums each second would.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from billing.quotas.looking import read_prices
from billing.quotas.quota import read_quotas
from billing.quotas.register import held_quotas, write_quotas
from billing.quotas.states import states_at
from billing.store import snapshot
from jangbu.database import connect
from producers.outbox import Accepted, Outbox
from tests.bench.freshness import BATCH_EVENTS, PARTITIONS, RATE_PER_S, percentile
from tests.bench.house import SOURCE
from tests.bench.report import Figure, Findings
from tests.bench.stage import Disturbed, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.stage import Child

QUOTAS = 10_000
WARM_UP_S = 10.0
"""Offered before the first quota is reached: every person is new to every part of the house at first."""
PROBE_EVERY_S = 0.1
BOUND_S = 2.0
LATE_MAX_S = 60.0
ZONE = "Asia/Seoul"
FAR = 10**15
"""A limit that nothing reaches."""
HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"


class MailBox(socketserver.ThreadingTCPServer):
    """Takes mail and notes when each recipient's came (time.monotonic)."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.came_s: dict[str, float] = {}


class _Session(socketserver.StreamRequestHandler):
    server: MailBox

    def handle(self) -> None:
        to = ""
        self.wfile.write(b"220 box\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"RCPT":
                to = line.decode().partition("<")[2].partition(">")[0]
            if word == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
                self.server.came_s.setdefault(to, time.monotonic())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


def measure(stage: Stage, offered_s: float, say: Callable[[str], None]) -> Findings:
    """Offer events for so long, look at how late the mail of those that reach a quota was."""
    probes = round(offered_s / PROBE_EVERY_S)
    with stage.topic(PARTITIONS) as log, stage.database() as urls, MailBox() as box:
        threading.Thread(target=box.serve_forever, args=(0.05,), daemon=True).start()
        _bring_quotas(urls.billing, probes)
        outbox_path = stage.directory / f"outbox-{log.topic}" / "outbox.sqlite"
        publisher = {"bootstrap": stage.bootstrap, "topic": log.topic, "outbox": str(outbox_path)}
        smtp_url = f"smtp://127.0.0.1:{box.server_address[1]}"
        alerts = {"database_url": urls.billing, "smtp_url": smtp_url, "zone": ZONE}
        say(f"alerts: offering {RATE_PER_S:,} events/s for {offered_s:.0f} s; {probes} of {QUOTAS:,} quotas to reach")
        with (
            stage.worker(urls, log) as worker,
            stage.child("publisher", **publisher) as child,
            stage.child("alerts", **alerts) as teller,
        ):
            used_s, accepted_s, took_s = _offer(stage, outbox_path, urls.reader, offered_s, (worker, child, teller))
            _wait(box, accepted_s, (worker, child, teller))
        looked_s = _looked(urls.reader)
        whole_s = _reading_all(urls.reader)
        box.shutdown()
    late_s = [box.came_s[to] - at_s for to, at_s in accepted_s.items()]
    before_s = [looked_s[to] - at_s for to, at_s in accepted_s.items()]
    after_s = [box.came_s[to] - looked_s[to] for to in accepted_s]
    return Findings(_figures(late_s, used_s / took_s, whole_s), [_note(late_s), _parts(before_s, after_s)])


def _bring_quotas(url: str, probes: int) -> None:
    """A quota for each probe that one request reaches, and others that nothing reaches."""
    lines = [f"user,probe-{number},,requests,1,day,100,probe-{number}@box.example" for number in range(probes)]
    others = QUOTAS - probes - 2
    lines += [f"user,u-{number:05},,tokens,{FAR},month,50;80;100,other@box.example" for number in range(others)]
    lines += [f"user,*,,tokens,{FAR},month,100,other@box.example", f"organisation,,,tokens,{FAR},month,50,"]
    engine = connect(url)
    with engine.begin() as connection:
        rows = read_quotas((HEADER + "\n".join(lines)).encode(), "quotas.csv")
        write_quotas(connection, rows, name="quotas.csv", sha256="0" * 64, actor="os:bench")
    engine.dispose()


def _offer(
    stage: Stage, outbox_path: Path, reader_url: str, offered_s: float, children: Sequence[Child]
) -> tuple[float, dict[str, float], float]:
    """(processor seconds of the alert process, when each probe was accepted by its address, seconds it took)."""
    batches = round((WARM_UP_S + offered_s) * RATE_PER_S / BATCH_EVENTS)
    tails = [tail.decode() for tail in stage.house.tails_of(batches * BATCH_EVENTS, 2)]
    accepted_s: dict[str, float] = {}
    with Outbox(outbox_path) as outbox, psycopg.connect(reader_url, autocommit=True) as connection:
        outbox.append([_event("first", tails[0])])
        give_up_s = time.monotonic() + LATE_MAX_S
        while not (connection.execute("select exists (select from usage_event)").fetchone() or [False])[0]:
            if time.monotonic() > give_up_s:
                raise Disturbed("alerts: the first event is not visible")
            time.sleep(0.05)
        began_s, used_s, probe = time.monotonic(), children[-1].cpu_s(), 0
        for number in range(batches):
            due_s = began_s + number * BATCH_EVENTS / RATE_PER_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            first = number * BATCH_EVENTS
            some = [_event(f"o-{first + place}", tails[first + place]) for place in range(BATCH_EVENTS)]
            to = f"probe-{probe}"
            is_time = due_s - began_s >= WARM_UP_S + probe * PROBE_EVERY_S
            is_probe = is_time and probe < round(offered_s / PROBE_EVERY_S)
            if is_probe:
                some.append(_probe(to))
            outbox.append(some)
            if is_probe:
                accepted_s[f"{to}@box.example"] = time.monotonic()
                probe += 1
            children[-1].check()
        took_s = time.monotonic() - began_s
        return children[-1].cpu_s() - used_s, accepted_s, took_s


def _event(name: str, tail: str) -> Accepted:
    now = datetime.now(UTC)
    head = f'{{"specversion":"1.0","type":"ai.usage.v1","source":"{SOURCE}","id":"{name}","time":"'
    value = f"{head}{now.strftime('%Y-%m-%dT%H:%M:%S')}.{now.microsecond // 1000:03d}Z{tail}"
    return Accepted(f"{SOURCE}/{name}".encode(), value.encode(), int(now.timestamp() * 1000))


def _probe(user: str) -> Accepted:
    data = {"department": None, "model": "gpt-5-mini", "provider": "openai", "units": {"requests": 1}}
    return _event(user, f'","subject":"{user}","data":{json.dumps(data)}}}')


def _wait(box: MailBox, accepted_s: dict[str, float], children: Sequence[Child]) -> None:
    give_up_s = time.monotonic() + LATE_MAX_S
    while missing := accepted_s.keys() - box.came_s.keys():
        if time.monotonic() > give_up_s:
            raise Disturbed(f"alerts: {len(missing)} mails have not come {LATE_MAX_S:.0f} s later")
        for child in children:
            child.check()
        time.sleep(0.05)


def _looked(url: str) -> dict[str, float]:
    """When the look began that found each address' alert (time.monotonic): what it sees was stored before."""
    with psycopg.connect(url) as connection:
        ago_s = connection.execute("select subject, extract(epoch from clock_timestamp() - recorded_at) from alert")
        now_s = time.monotonic()
        return {f"{subject}@box.example": now_s - float(one_s) for subject, one_s in ago_s}


def _reading_all(url: str) -> float:
    """Processor seconds that reading every quota's sums takes, in this process and, roughly, in PostgreSQL."""
    engine = connect(url)
    began_s = time.monotonic()
    with snapshot(engine) as connection:
        states_at(connection, held_quotas(connection), read_prices(connection, ZONE), datetime.now(UTC))
    took_s = time.monotonic() - began_s
    engine.dispose()
    return took_s


def _figures(late_s: Sequence[float], share: float, whole_s: float) -> list[Figure]:
    found = {"p99": percentile(late_s, 0.99), "p50": percentile(late_s, 0.5), "max": max(late_s)}
    return [
        *(
            Figure(f"alerts: accepted to mailbox, {name} / {BOUND_S:.0f} s", value_s / BOUND_S,
                   ("at most", 1) if name == "p99" else None, f"{value_s:.3f} s")
            for name, value_s in found.items()
        ),
        Figure("alerts: processor time of the alert process / one core", share, None, f"{share:.2f} cores"),
        Figure("alerts: reading all quotas' sums anew / 1 s", whole_s, None, f"{whole_s:.2f} s a look"),
    ]  # fmt: skip


def _note(late_s: Sequence[float]) -> str:
    return f"Alerts: {len(late_s):,} of {QUOTAS:,} quotas were reached while {RATE_PER_S:,} events/s were offered."


def _parts(before_s: Sequence[float], after_s: Sequence[float]) -> str:
    """Where the time went."""
    told = [f"p50 {percentile(many, 0.5):.3f} s, p99 {percentile(many, 0.99):.3f} s" for many in (before_s, after_s)]
    return f"Alerts: accepted until the look that found it began: {told[0]}; from there to the mailbox: {told[1]}."


def run_alerts(settings: dict[str, Any]) -> int:
    """The alert process of `jangbu alerts`, until SIGTERM."""
    import signal

    from billing.alerts.deliveries import Plan
    from billing.alerts.watching import Watch
    from jangbu.alerting import run
    from jangbu.sending import MailServer, Senders

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    engine = connect(settings["database_url"])
    senders = Senders(settings["zone"], "ko", MailServer.of_url(settings["smtp_url"]), "jangbu@box.example")
    run(engine, settings["zone"], senders, stop, Watch(Plan(settings["zone"])))
    return 0
