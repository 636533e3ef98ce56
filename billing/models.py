"""Which model of the price book a model name in an event means.

Events carry snapshots (`gpt-5-mini-2025-08-07`), the book families (`gpt-5-mini`). Rules of a provider are tried in
their order; a rule without a clause asks the rules of another provider (Azure sells OpenAI's models), one step deep.
Names are compared in lower case. The rules and their order come from genai-prices with `price seed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Clause = Mapping[str, Any]
"""One of {"equals": text}, {"starts_with": text}, {"ends_with": text}, {"contains": text}, {"regex": pattern},
{"any": [clause, ...]}, {"all": [clause, ...]}."""

_COMPACT_DATE = re.compile(r"-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?=-|:|$)")
_SNAPSHOT = re.compile(r"(.+?)[-@](?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6}|latest)$")


@dataclass(frozen=True, slots=True)
class ModelRule:
    """Names that `match` takes mean `to_model`; where both are None, the rules of `to_provider` are tried next."""

    provider: str
    place: int
    match: Clause | None
    to_provider: str
    to_model: str | None


class ModelRules:
    """Rules of all providers, ready to be asked."""

    def __init__(self, rules: Iterable[ModelRule]) -> None:
        self._rules: dict[str, list[tuple[Callable[[str], bool] | None, ModelRule]]] = {}
        for rule in sorted(rules, key=lambda rule: (rule.provider, rule.place)):
            matches = None if rule.match is None else _compile(rule.match)
            self._rules.setdefault(rule.provider.lower(), []).append((matches, rule))

    def meaning(self, provider: str, model: str) -> tuple[str, str] | None:
        """(provider, model) of the book that a name means, or None where no rule says so.

        A name that no rule takes is tried once more with a compact date written out: -20260305 as -2026-03-05.
        """
        name = model.lower()
        return self._find(provider.lower(), name, deep=True) or (
            self._find(provider.lower(), dashed, deep=True) if (dashed := _dashed_date(name)) != name else None
        )

    def providers_of(self, provider: str) -> set[str]:
        """The provider itself and those whose rules it may ask, in lower case."""
        name = provider.lower()
        return {name} | {rule.to_provider.lower() for _, rule in self._rules.get(name, ())}

    def _find(self, provider: str, name: str, *, deep: bool) -> tuple[str, str] | None:
        for matches, rule in self._rules.get(provider, ()):
            if matches is None:
                if deep and (found := self._find(rule.to_provider.lower(), name, deep=False)):
                    return found
            elif matches(name) and rule.to_model is not None:
                return rule.to_provider, rule.to_model
        return None


def family_of(model: str) -> str | None:
    """The family of a dated snapshot: `gpt-5-mini-2025-08-07`, `claude-x-20250929` and `x@20250929` lose their date."""
    found = _SNAPSHOT.fullmatch(model)
    return found.group(1) if found else None


def _compile(clause: Clause) -> Callable[[str], bool]:
    """A clause as a test of a name in lower case. Raises ValueError for a kind that is unknown."""
    ((kind, value),) = clause.items()
    if kind in ("any", "all"):
        parts = [_compile(part) for part in value]
        fold = any if kind == "any" else all
        return lambda name: fold(part(name) for part in parts)
    if kind == "regex":
        search = re.compile(value).search
        return lambda name: search(name) is not None
    text = value.lower()
    if kind == "equals":
        return lambda name: name == text
    if kind == "starts_with":
        return lambda name: name.startswith(text)
    if kind == "ends_with":
        return lambda name: name.endswith(text)
    if kind == "contains":
        return lambda name: text in name
    raise ValueError(
        f"a model rule has the clause {kind!r}, which is none of equals, starts_with, ends_with, "
        "contains, regex, any, all: seed the price book again with `jangbu price seed`"
    )


def _dashed_date(name: str) -> str:
    def written_out(found: re.Match[str]) -> str:
        year, month, day = found.groups()
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return found.group(0)
        return f"-{year}-{month}-{day}"

    return _COMPACT_DATE.sub(written_out, name)
