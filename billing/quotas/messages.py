"""What an alert says, in Korean and English: subject, text, HTML, and the document of a webhook. Pure.

Subjects of quotas are attacker-controlled names: control and direction marks become escapes, HTML is escaped, and a
mail's subject is one line.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, NamedTuple

from billing.money import plain
from billing.periods import hour_start, load_zone

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.outputs.texts import Language
    from billing.quotas.register import Alert

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
_WINDOWS = {
    "hour": ("시간", "hour"),
    "day": ("일", "day"),
    "week": ("주", "week"),
    "month": ("월", "month"),
    "year": ("연", "year"),
}
_SUBJECT_CHARACTERS_MAX = 60


class Message(NamedTuple):
    """One alert in words."""

    subject: str
    text: str
    html: str


def message_of(alert: Alert, zone: str, language: Language) -> Message:
    """The message of an alert; times in the organisation's zone."""
    rows = _rows(alert, zone, language)
    who = _who(alert, language)
    percent = plain(alert.threshold)
    if language == "ko":
        subject = f"[장부] {who}: {_WINDOWS[alert.window][0]} 한도의 {percent}%에 이르렀습니다"
    else:
        subject = f"[jangbu] {who}: {percent}% of the {_WINDOWS[alert.window][1]}'s quota is used"
    text = subject + "\n\n" + "\n".join(f"{name}: {value}" for name, value in rows) + "\n"
    cells = "".join(f"<tr><th align='left'>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in rows)
    page = (
        f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'></head>"
        f"<body><p>{html.escape(subject)}</p><table>{cells}</table></body></html>"
    )
    return Message(subject, text, page)


def document_of(alert: Alert, delivery: str) -> dict[str, object]:
    """The body of a webhook; quantities and money are strings of exact decimals, times RFC 3339 UTC."""
    return {
        "id": delivery,
        "type": "quota.threshold",
        "alert": alert.id,
        "scope": alert.scope,
        "subject": alert.subject or None,
        "model": alert.model or None,
        "unit": alert.unit,
        "window": alert.window,
        "window_start": _instant(alert),
        "threshold": plain(alert.threshold),
        "used": plain(alert.used),
        "limit": plain(alert.limit),
    }


def _rows(alert: Alert, zone: str, language: Language) -> list[tuple[str, str]]:
    is_korean = language == "ko"
    start = hour_start(alert.window_hour).astimezone(load_zone(zone)).strftime("%Y-%m-%d %H:%M")
    return [
        ("사용" if is_korean else "Used", f"{_grouped(alert.used)} {alert.unit}"),
        ("한도" if is_korean else "Limit", f"{_grouped(alert.limit)} {alert.unit}"),
        ("대상" if is_korean else "Whose", _who(alert, language)),
        ("모델" if is_korean else "Models", _shown(alert.model) or ("모두" if is_korean else "all")),
        ("기간의 시작" if is_korean else "Window from", f"{start} ({zone})"),
        ("알림 번호" if is_korean else "Alert", str(alert.id)),
    ]


def _who(alert: Alert, language: Language) -> str:
    if not alert.subject:
        return "기관 전체" if language == "ko" else "the organisation"
    names = {"department": ("부서", "department"), "user": ("사용자", "user")}[alert.scope]
    name = _shown(alert.subject)
    return f"{names[0]} {name}" if language == "ko" else f"{names[1]} {name}"


def _shown(text: str) -> str:
    safe = _UNSAFE.sub(lambda hit: f"\\u{ord(hit[0]):04x}", text)
    return safe if len(safe) <= _SUBJECT_CHARACTERS_MAX else safe[: _SUBJECT_CHARACTERS_MAX - 1] + "…"


def _grouped(amount: Decimal) -> str:
    whole, point, rest = plain(amount).partition(".")
    return f"{int(whole):,}{point}{rest}"


def _instant(alert: Alert) -> str:
    return hour_start(alert.window_hour).strftime("%Y-%m-%dT%H:%M:%SZ")
