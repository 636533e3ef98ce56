"""What an alert says, in Korean and English: subject, text, HTML, and the document of a webhook. Pure.

Names in alerts come from whoever sends events: control and direction marks become escapes, HTML is escaped, and a
mail's subject is one line.
"""

from __future__ import annotations

import html
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.alerts.alert import SEVERITIES
from billing.alerts.wording import CASES, LABELS, SUBJECTS, WHO, WINDOWS
from billing.periods import hour_start, load_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.alerts.alert import Alert
    from billing.outputs.texts import Language

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_NUMBER = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?")
_SHOWN_MAX = 60
DETAILED_MAX = 20
"""How many alerts of a message are told with all they say; of the others the sentence. Slack cuts a message at 40,000
characters, and nobody reads two hundred tables."""
_NUMBERS = frozenset({"used", "limit", "projected", "amount", "spent", "usual", "seen", "quantity", "waiting"})
_INSTANTS = frozenset({"exhausted_at", "since", "last_seen", "hour_start", "window_start"})
_HIDDEN = frozenset({"window_hour", "currency", "department", "window"})


class Message(NamedTuple):
    """One message in words."""

    subject: str
    text: str
    html: str


def message_of(alerts: Sequence[Alert], ids: Sequence[str], zone: str, language: Language) -> Message:
    """The message of an alert, or of several together, the gravest first, each with the id of its delivery; beyond
    DETAILED_MAX a line each, without it. Times in the zone."""
    paired = sorted(zip(alerts, ids, strict=True), key=lambda pair: -SEVERITIES.index(pair[0].severity))
    alerts, ids = [alert for alert, _ in paired], [name for _, name in paired]
    titles = [subject_of(alert, language) for alert in alerts]
    brand = "[장부]" if language == "ko" else "[jangbu]"
    if len(alerts) == 1:
        subject = f"{brand} {titles[0]}"
    elif language == "ko":
        subject = f"{brand} 알림 {len(alerts)}건: {titles[0]} 등"
    else:
        subject = f"{brand} {len(alerts)} alerts: {titles[0]}, and others"
    parts = [
        (title, [*_rows(alert, zone, language), *_numbers(alert, delivery, language)])
        for title, alert, delivery in zip(titles[:DETAILED_MAX], alerts, ids, strict=False)
    ]
    others = titles[DETAILED_MAX:]
    more = _more(len(others), language)
    shown = [(subject if len(parts) == 1 else title, rows) for title, rows in parts]
    text = "\n".join(
        title + "\n\n" + "\n".join(f"{name}: {value}" for name, value in rows) + "\n" for title, rows in shown
    )
    if others:
        text += "\n" + more + "\n\n" + "".join(f"- {title}\n" for title in others)
    body = "".join(f"<h2>{html.escape(title)}</h2><table>{_cells(rows)}</table>" for title, rows in shown)
    if others:
        body += f"<h2>{html.escape(more)}</h2><ul>{''.join(f'<li>{html.escape(title)}</li>' for title in others)}</ul>"
    page = (
        f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'>"
        f"<title>{html.escape(subject)}</title></head><body>{body}</body></html>"
    )
    return Message(subject, text, page)


def _more(count: int, language: Language) -> str:
    if language == "ko":
        return f"그 밖의 알림 {count}건 (자세한 내용: jangbu alert list)"
    return f"{count} more (in full: jangbu alert list)"


def subject_of(alert: Alert, language: Language) -> str:
    """What it is about, in one line."""
    place = 0 if language == "ko" else 1
    values = {name: _shown(value) for name, value in alert.content.items()}
    values["window"] = WINDOWS.get(alert.content.get("window", ""), ("", ""))[place]
    words = CASES.get((alert.kind, str(alert.content.get("case"))), SUBJECTS[alert.kind])
    return words[place].format_map(_Told(values, who=_who(alert, language)))


def document_of(alert: Alert, delivery: str) -> dict[str, Any]:
    """The body of a webhook and what a command reads; quantities and money are texts of exact decimals, times RFC 3339
    UTC. What a kind says stands beside the rest."""
    content = {name: value for name, value in alert.content.items() if name != "window_hour"}
    if "model" in content:
        content["model"] = content["model"] or None
    if "window_hour" in alert.content:
        content["window_start"] = _rfc(hour_start(alert.content["window_hour"]))
    return {
        **content,
        "id": delivery,
        "type": "quota.threshold" if alert.kind == "threshold" else alert.kind,
        "kind": alert.kind,
        "alert": alert.id,
        "uid": alert.uid,
        "severity": alert.severity,
        "scope": alert.scope or None,
        "subject": alert.subject or None,
        "department": alert.department,
        "recorded_at": _rfc(alert.recorded_at),
    }


class _Told(dict[str, str]):
    """Values of a sentence; one that is not told is a dash."""

    def __missing__(self, _name: str) -> str:
        return "-"


def _rows(alert: Alert, zone: str, language: Language) -> list[tuple[str, str]]:
    place = 0 if language == "ko" else 1
    rows = [(LABELS["who"][place], _who(alert, language))] if alert.scope else []
    for name, value in alert.content.items():
        if value is not None and name not in _HIDDEN and name in LABELS:
            rows.append((LABELS[name][place], _value(name, value, alert, zone, language)))
    if "window_hour" in alert.content:
        rows.append((LABELS["window_start"][place], _local(hour_start(alert.content["window_hour"]), zone)))
    return rows


def _numbers(alert: Alert, delivery: str, language: Language) -> list[tuple[str, str]]:
    place = 0 if language == "ko" else 1
    return [(LABELS["alert"][place], f"{alert.id} ({alert.uid})"), (LABELS["delivery"][place], delivery)]


def _value(name: str, value: object, alert: Alert, zone: str, language: Language) -> str:
    if name == "model" and not value:
        return "모두" if language == "ko" else "all"
    if name in _INSTANTS:
        return _local(datetime.fromisoformat(str(value)), zone)
    if name == "threshold":
        return f"{_shown(value)}%"
    if name in _NUMBERS and _NUMBER.fullmatch(str(value)):
        unit = alert.content.get("currency") or (alert.content.get("unit") if name != "waiting" else "")
        return f"{_grouped(str(value))} {_shown(unit or '')}".strip()
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value[:20])
    return _shown(value)


def _who(alert: Alert, language: Language) -> str:
    place = 0 if language == "ko" else 1
    if alert.scope in ("", "organisation"):
        return WHO["organisation"][place]
    return f"{WHO[alert.scope][place]} {_shown(alert.subject)}"


def _shown(value: object) -> str:
    safe = _UNSAFE.sub(lambda hit: f"\\u{ord(hit[0]):04x}", str(value))
    return safe if len(safe) <= _SHOWN_MAX else safe[: _SHOWN_MAX - 1] + "…"


def _cells(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<tr><th align='left'>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in rows)


def _grouped(text: str) -> str:
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}"


def _local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(load_zone(zone)).strftime('%Y-%m-%d %H:%M')} ({zone})"


def _rfc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
