"""Alerts and their deliveries as JSON documents show them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.alerts.recipients import parse_recipient
from billing.periods import hour_start

if TYPE_CHECKING:
    from billing.alerts.alert import Alert
    from billing.alerts.deliveries import DeliveryState
    from billing.pseudonyms import Pseudonyms


def delivery_document(one: DeliveryState) -> dict[str, Any]:
    """A delivery; its recipient without what is secret about it."""
    return {
        "delivery": one.id,
        "alert": one.alert_id,
        "recipient": parse_recipient(one.recipient).shown,
        "state": one.state,
        "attempts": one.attempts,
        "next_at": one.next_at if one.state == "waiting" else None,
        "last_error": one.last_error,
        "sent_at": one.sent_at,
        "message": one.message,
    }


def alert_document(one: Alert, people: Pseudonyms | None) -> dict[str, Any]:
    """What was due; quantities and money as texts of exact decimals. Of whom it names to be told without what is secret
    about them."""
    content = dict(one.content)
    hour = content.pop("window_hour", None)
    document = {
        "alert": one.id,
        "uid": one.uid,
        "kind": one.kind,
        "severity": one.severity,
        "quota": one.quota,
        "scope": one.scope or None,
        "subject": one.subject or None,
        "department": one.department,
        "model": content.get("model") or None,
        "unit": content.get("unit"),
        "window": content.get("window"),
        "window_start": None if hour is None else hour_start(hour),
        "threshold": content.get("threshold"),
        "used": content.get("used"),
        "limit": content.get("limit"),
        "content": content,
        "recorded_at": one.recorded_at,
        "notify": [parse_recipient(recipient).shown for recipient in one.notify],
        "silenced_by": one.silenced_by,
    }
    if people is not None and one.scope == "user":
        document["subject"] = people.of("user", one.subject)
        document["content"] = people.row(content)
    return document
