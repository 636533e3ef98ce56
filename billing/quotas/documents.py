"""Quotas and their states as JSON documents show them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.alerts.recipients import parse_recipient
from billing.money import plain
from billing.quotas.quota import EACH

if TYPE_CHECKING:
    from billing.pseudonyms import Pseudonyms
    from billing.quotas.quota import Quota


def quota_document(row: Quota) -> dict[str, Any]:
    """A row of the register; the limit in its unit or currency, thresholds in percent of it; of addresses that are URLs
    the host alone, because the rest may be what lets one in."""
    key = row.key
    return {
        "quota": row.id or None,
        "scope": key.scope,
        "subject": key.subject or None,
        "model": key.model or None,
        "unit": key.unit,
        "limit": None if row.limit is None else plain(row.limit),
        "window": key.window,
        "thresholds": [plain(one) for one in row.thresholds],
        "notify": [parse_recipient(one).shown for one in row.notify],
        "mode": row.mode,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
    }


def shown_subject(people: Pseudonyms | None, document: dict[str, Any]) -> dict[str, Any]:
    """A document about a quota, with a pseudonym where a user is its subject and the settings ask for one."""
    subject = document["subject"]
    if people is None or document["scope"] != "user" or subject in (None, EACH):
        return document
    return {**document, "subject": people.of("user", subject)}
