"""After a run: is the ledger what was accepted, once, to the token? Each question is asked apart from our own code."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jangbu.migrate import sql_directory
from producers.topic import reach

if TYPE_CHECKING:
    from tests.faults.ground import Ground

SHOWN_MAX = 5


def violations(ground: Ground) -> list[str]:
    """A sentence for each thing that is not as it must be."""
    return [*_identities(ground), *_sums(ground), *_records(ground), *_laws(ground), *_zombies(ground)]


def violations_so_far(ground: Ground) -> list[str]:
    """The same where not everything could be read: what must hold at any moment."""
    return [*_laws(ground), *_zombies(ground)]


def _identities(ground: Ground) -> list[str]:
    """The set of stored ids = the set of accepted ids, each once."""
    stored = Counter(
        (source, event_id) for source, event_id in ground.ask("select source, event_id from usage_event_named")
    )
    accepted = ground.load.accepted
    missing, strange = accepted - stored.keys(), stored.keys() - accepted
    doubled = [identity for identity, times in stored.items() if times > 1]
    return [
        f"{len(found)} events are {what}, such as {sorted(found)[:SHOWN_MAX]}"
        for what, found in (("lost", missing), ("stored and were never accepted", strange), ("stored twice", doubled))
        if found
    ]


def _sums(ground: Ground) -> list[str]:
    """The sums kept = the sums of what was accepted, as the sender added them up."""
    rows = ground.ask(
        """select (extract(epoch from hour) / 3600)::bigint, model, "user", unit, sum(quantity)::bigint
           from usage_unit group by 1, 2, 3, 4"""
    )
    kept = {tuple(row[:4]): row[4] for row in rows if row[4]}
    wanted = {key: quantity for key, quantity in ground.load.sums.items() if quantity}
    wrong = [key for key in kept.keys() | wanted.keys() if kept.get(key, 0) != wanted.get(key, 0)]
    return [
        f"sum of {key}: kept {kept.get(key, 0)}, accepted {wanted.get(key, 0)}; {len(wrong)} sums differ"
        for key in sorted(wrong)[:SHOWN_MAX]
    ]


def _records(ground: Ground) -> list[str]:
    """Each record that Kafka holds is accounted for once; each poisonous one is in quarantine."""
    found = []
    ends = {partition: place.end for partition, place in reach(ground.access, ground.log).items()}
    if ground.offsets() != ends:
        found.append(f"the stored offsets are {ground.offsets()}, Kafka's ends are {ends}")
    records, accounted = ground.ask("select sum(records), sum(stored + duplicates + quarantined) from stream_chunk")[0]
    if not records == accounted == sum(ends.values()):
        found.append(f"Kafka holds {sum(ends.values())} records, {records} were read, {accounted} are accounted for")
    quarantined = ground.ask("select count(*) from quarantine")[0][0]
    poison = ground.load.poison
    if not poison <= quarantined <= poison + ground.load.poison_again:
        found.append(f"{poison} records were no event, {quarantined} are in quarantine")
    return found


def _laws(ground: Ground) -> list[str]:
    """Laws 1 and 2: chunks tile the offsets; sums rebuilt from the events = sums kept."""
    found: list[str] = []
    for law in ("1-accepted", "2-sums"):
        query = (sql_directory() / "checks" / f"{law}.sql").read_text(encoding="utf-8")
        found += [f"law {law}: {sentence}" for sentence in ground.ask(query)[0][1][:SHOWN_MAX]]
    return found


def _zombies(ground: Ground) -> list[str]:
    """A worker that was stopped until it was expelled wrote nothing below what others had stored when it woke up."""
    found = []
    for name, woke_at, offsets in ground.wakings:
        for partition, next_offset in offsets.items():
            rows = ground.ask(
                "select first_offset from stream_chunk where worker = %s and partition = %s and committed_at > %s"
                " and first_offset < %s",
                name, partition, woke_at, next_offset,
            )  # fmt: skip
            found += [f"{name} wrote partition {partition} at {row[0]} after it was expelled" for row in rows]
    return found
