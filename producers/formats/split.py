"""From counts that contain each other to units that do not.

Most formats tell one whole and parts of it that overlap: a prompt of 100 tokens, 60 of them cached, 30 of them audio.
How many of the cached ones are audio is sometimes told and sometimes not. The rules, in their order:

1. The whole is right. What no part claims is text, so that the units of a side always add up to its whole.
2. A modality told for a cached part is taken from that modality. Where the prompt itself does not tell that modality,
   the cached tokens are all there is of it.
3. Cached tokens whose modality is not told are text as far as the text goes, then audio, image, video, then others by
   name. Read comes before written.
4. A part that is larger than what it is a part of is refused: no reading of it is right.

Pure, and the only place where tokens are subtracted from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from producers.formats.usage import UsageRefused
from producers.units import MODALITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT: Final = "text"


@dataclass(frozen=True, slots=True)
class Part:
    """A count, where the vendor says it, and how much of it is of which modality (`text` among them).

    total: tokens; None where only the modalities are told, or nothing.
    """

    where: str
    total: int | None
    by_modality: Mapping[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """The whole, as told or else as its modalities add up to; 0 where nothing is told."""
        return sum(self.by_modality.values()) if self.total is None else self.total

    @property
    def told(self) -> bool:
        """Whether the body says anything about it."""
        return self.total is not None or bool(self.by_modality)


def split_input(prompt: Part, read: Part, written: Part) -> dict[str, int]:
    """The disjoint units of a prompt that contains what was read from and written to a cache.

    Raises UsageRefused where a part is larger than its whole.
    """
    told = _told(prompt)
    if not prompt.told:  # of fresh tokens nothing is known: the whole is then what the cache counts add up to
        prompt = Part(prompt.where, read.tokens + written.tokens)
    left = _by_modality(prompt)
    units: dict[str, int] = {}
    for name, part in (("cache_read", read), ("cache_write", written)):
        if part.told:
            taken = _take(part, left, prompt, told)
            units[f"{name}_tokens"] = taken.pop(TEXT, 0)
            units |= {f"{name}_{modality}_tokens": count for modality, count in taken.items()}
    return {_named(modality, "input"): left[modality] for modality in told} | units


def split_output(answer: Part, reasoning: int | None) -> dict[str, int]:
    """The disjoint units of an answer that contains its reasoning tokens, which are text."""
    if not answer.told:
        return {} if reasoning is None else {"reasoning_tokens": reasoning}
    left = _by_modality(answer)
    units: dict[str, int] = {}
    if reasoning is not None:
        if reasoning > left[TEXT]:
            raise UsageRefused(answer.where, answer.tokens, f"it must hold its {reasoning} reasoning tokens as text")
        left[TEXT] -= reasoning
        units["reasoning_tokens"] = reasoning
    return {_named(modality, "output"): left[modality] for modality in _told(answer)} | units


def split_written(total: Part, by_lifetime: Mapping[str, int]) -> dict[str, int]:
    """Cache writes by lifetime (`5m`, `1h`); what no lifetime claims keeps the unit whose lifetime is not told."""
    units = {f"cache_write_{lifetime}_tokens": count for lifetime, count in by_lifetime.items()}
    claimed = sum(by_lifetime.values())
    if total.total is None:
        return units
    if claimed > total.total:
        raise UsageRefused(total.where, total.total, f"its lifetimes add up to {claimed}, which is more")
    if not units or total.total > claimed:
        units["cache_write_tokens"] = total.total - claimed
    return units


def add(*counts: Mapping[str, int]) -> dict[str, int]:
    """The sums by name."""
    sums: dict[str, int] = {}
    for part in counts:
        for name, count in part.items():
            sums[name] = sums.get(name, 0) + count
    return sums


def _told(whole: Part) -> set[str]:
    """The modalities of which a body says a count; text is said with the whole, since the rest is text."""
    return {*whole.by_modality, TEXT} if whole.total is not None else set(whole.by_modality)


def _by_modality(whole: Part) -> dict[str, int]:
    """All tokens of a whole by modality; text has what no modality claims."""
    claimed = sum(whole.by_modality.values())
    if claimed > whole.tokens:
        raise UsageRefused(whole.where, whole.tokens, f"its modalities add up to {claimed}, which is more")
    unclaimed = whole.tokens - claimed
    return {**whole.by_modality, TEXT: whole.by_modality.get(TEXT, 0) + unclaimed}


def _take(part: Part, left: dict[str, int], whole: Part, told: set[str]) -> dict[str, int]:
    """Takes a part out of `left`, in place; returns what it took by modality."""
    taken: dict[str, int] = {}
    for modality, count in part.by_modality.items():
        source = modality if modality in told else TEXT
        if count > left.get(source, 0):
            room = f"{left.get(source, 0)} that {whole.where} ({whole.tokens}) has left"
            raise UsageRefused(part.where, part.tokens, f"its {count} {modality} tokens are more than the {room}")
        left[source] -= count
        taken[modality] = count
    untold = part.tokens - sum(taken.values())
    if untold < 0:
        raise UsageRefused(part.where, part.tokens, f"its modalities add up to {sum(taken.values())}, which is more")
    for modality in _text_first(left):
        count = min(untold, left[modality])
        if count:
            left[modality] -= count
            taken[modality] = taken.get(modality, 0) + count
            untold -= count
    if untold:
        room = f"{whole.where} ({whole.tokens}) has left beside its other parts"
        raise UsageRefused(part.where, part.tokens, f"it is {untold} more than {room}")
    return taken


def _text_first(left: Mapping[str, int]) -> list[str]:
    order = (TEXT, *MODALITIES)
    return sorted(left, key=lambda modality: (order.index(modality) if modality in order else len(order), modality))


def _named(modality: str, direction: str) -> str:
    return f"{direction}_tokens" if modality == TEXT else f"{modality}_{direction}_tokens"
