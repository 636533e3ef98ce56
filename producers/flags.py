"""Governance flags: what a gateway's guardrail decided about a call, as a word from a fixed list. Never content. Pure.

A verdict has two sides: what it was about (`sensitive`: personal or otherwise sensitive data; `policy`: any other
rule) and what was done (`blocked`, `masked`, `found`: seen and let through). `guardrail_failed`: it did not answer.

To add a word: add it to `Flag`, teach an adapter to say it, and start the workers before the gateways. A worker that
does not know a word refuses its event to quarantine, from where it is sent again once the worker knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

Flag = Literal[
    "sensitive_blocked",
    "sensitive_masked",
    "sensitive_found",
    "policy_blocked",
    "policy_masked",
    "policy_found",
    "guardrail_failed",
]
FLAGS: Final[tuple[Flag, ...]] = get_args(Flag)
"""All words, in the order in which they are shown."""
FLAGS_MAX: Final = 16
TAG: Final = "jangbu.flag"
"""A request tag `jangbu.flag:WORD` says a flag where a gateway's own guardrail makes no record of its verdict."""
RECORD_FIELDS: Final = ("guardrail_status", "guardrail_provider", "guardrail_mode", "masked_entity_count",
                        "violation_categories", "detection_method")  # fmt: skip
"""Of LiteLLM's record of a guardrail, what is read. The others can quote a prompt or name a person."""

_SENSITIVE_PROVIDERS: Final = ("presidio", "hide-secrets", "hide_secrets", "pii", "dlp", "sensitive", "purview")
"""Parts of the names of guardrails that look for sensitive data and nothing else."""
_SENSITIVE_METHODS: Final = ("regex", "presidio")
"""How LiteLLM's own content filter finds numbers, addresses and secrets; its keywords are a policy's."""
_SENSITIVE_CATEGORIES: Final = ("pii", "sensitive", "secret", "credential", "ssn", "email", "phone", "card", "resident")
_INTERVENED: Final = frozenset({"guardrail_intervened", "blocked"})
_FAILED: Final = frozenset({"guardrail_failed_to_respond", "failure"})
_RECORDS_MAX: Final = 64


def flags_of_records(records: object, *, blocked: bool) -> set[Flag]:
    """The flags of LiteLLM's `guardrail_information` (a list, or one record; any other shape says nothing).

    blocked: the request was refused, so that a guardrail that intervened has blocked it; else it has masked.
    Source of the statuses: LiteLLM 1.106, `GuardrailStatus` and its older words.
    """
    found: set[Flag] = set()
    for record in (records if isinstance(records, list) else [records])[:_RECORDS_MAX]:
        if isinstance(record, Mapping):
            found |= _flags_of_record(record, blocked=blocked)
    return found


def is_refused_before_call(records: object) -> bool:
    """Whether a guardrail that runs before the vendor is called has blocked; of a failed request's records."""
    return any(
        isinstance(record, Mapping)
        and str(record.get("guardrail_status")) in _INTERVENED
        and record.get("guardrail_mode") in ("pre_call", ["pre_call"])
        for record in (records if isinstance(records, list) else [records])[:_RECORDS_MAX]
    )


def flags_of_tags(request_tags: Iterable[object]) -> set[Flag]:
    """The flags that tags say; an unknown word is no flag."""
    words = {tag.removeprefix(f"{TAG}:").strip() for tag in request_tags
             if isinstance(tag, str) and tag.startswith(f"{TAG}:")}  # fmt: skip
    return {flag for flag in FLAGS if flag in words}


def in_order(flags: Iterable[str]) -> list[Flag]:
    """Each flag once, in the order of the list: the same flags are the same event however they came."""
    given = set(flags)
    return [flag for flag in FLAGS if flag in given]


def _flags_of_record(record: Mapping[str, Any], *, blocked: bool) -> set[Flag]:
    told = record.get("guardrail_status")
    status = told if isinstance(told, str) else ""
    masked = record.get("masked_entity_count")
    has_masked = isinstance(masked, Mapping) and any(_is_some(count) for count in masked.values())
    sensitive = has_masked or _is_sensitive(record)
    if status in _FAILED:
        return {"guardrail_failed"}
    if status in _INTERVENED:
        if blocked:
            return {"sensitive_blocked" if sensitive else "policy_blocked"}
        return {"sensitive_masked" if sensitive else "policy_masked"}
    if status == "guardrail_flagged":
        return {"sensitive_found" if sensitive else "policy_found"}
    return {"sensitive_masked"} if has_masked else set()


def _is_some(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and count > 0


def _is_sensitive(record: Mapping[str, Any]) -> bool:
    """By the guardrail's kind, else by the kinds of what it found."""
    provider = record.get("guardrail_provider")
    if isinstance(provider, str) and any(part in provider.lower() for part in _SENSITIVE_PROVIDERS):
        return True
    method = record.get("detection_method")
    if isinstance(method, str) and any(word in method.lower() for word in _SENSITIVE_METHODS):
        return True
    categories = record.get("violation_categories")
    return isinstance(categories, list) and any(
        isinstance(name, str) and any(part in name.lower() for part in _SENSITIVE_CATEGORIES)
        for name in categories[:_RECORDS_MAX]
    )
