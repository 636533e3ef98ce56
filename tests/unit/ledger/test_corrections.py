"""What is still to be corrected, and why: exact, telescoping, decided by evidence."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.booked import Books, price_code
from billing.ledger.corrections import correct, late_unpriced
from billing.ledger.evidence import Evidence, LateEvents
from billing.ledger.positions import Position, correction_key, correction_position, is_correction
from billing.ledger.reasons import reason_of

UNIT = ("openai", "gpt-x", "input_tokens")
MODEL = ("D1", "openai", "gpt-x")


def books(
    *lines: tuple[str, int, int | None, str],
    hashes: dict[str | tuple[()] | None, str] | None = None,
    rates: tuple[str, ...] = (),
) -> Books:
    """Lines of (department, quantity, price id or None, amount) of one unit."""
    found = Books(hashes=dict(hashes or {}))
    for department, quantity, price_id, amount in lines:
        found.know(department, UNIT, price_code(price_id or 0), quantity)
        if price_id is None:
            found.unpriced[UNIT] = found.unpriced.get(UNIT, 0) + quantity
        else:
            found.add(department, Position.of_use(*UNIT, price_id), Fraction(amount), quantity)
        found.rates.setdefault((department, UNIT), set()).update(("2026-10-01", rate) for rate in rates)
    return found


LATE = Evidence({MODEL: [LateEvents(2, 118, 3, 0)]})
REDRIVEN = Evidence({MODEL: [LateEvents(2, 118, 3, 3)]})
MIXED = Evidence({MODEL: [LateEvents(2, 118, 3, 3), LateEvents(0, -1, 1, 0)]})
COPIED = Evidence(copied=frozenset({MODEL}), copies=1)


@pytest.mark.parametrize(
    ("before", "now", "evidence", "code", "origin"),
    [
        (books(("D1", 10, 1, "5")), books(("D1", 13, 1, "6.5")), LATE, "LATE_USAGE",
         "3 events after offset 118 of partition 2"),
        (books(("D1", 10, 1, "5")), books(("D1", 13, 1, "6.5")), REDRIVEN, "REDRIVEN",
         "3 events after offset 118 of partition 2 (from quarantine)"),
        (books(("D1", 10, 1, "5")), books(("D1", 14, 1, "7")), MIXED, "LATE_USAGE",
         "3 events after offset 118 of partition 2; 1 event of partition 0"),
        (books(("D1", 10, 1, "5")), books(("D1", 14, 1, "7")), Evidence(), "LATE_USAGE",
         "+4 input_tokens after the close"),
        (books(("D1", 10, 1, "5")), books(("D1", 8, 1, "4")), COPIED, "COPY_REMOVED",
         "copies with another time were taken out of gpt-x"),
        (books(("D1", 10, 1, "5"), ("D2", 1, 1, ".5")), books(("D1", 8, 1, "4"), ("D2", 3, 1, "1.5")), Evidence(),
         "ATTRIBUTION_CORRECTION", "-2 input_tokens attributed anew"),
        (books(("D1", 10, None, "")), books(("D1", 10, 2, "4")), Evidence(), "PRICE_CORRECTION",
         "price row P-000002, where the closed statement had no price"),
        (books(("D1", 10, 1, "5"), rates=("1400",)), books(("D1", 10, 1, "4"), rates=("1390",)), Evidence(),
         "RATE_CORRECTION", "exchange rate 1390 of 2026-10-01 instead of 1400 of 2026-10-01"),
        (books(("D1", 10, 1, "5")), books(("D1", 10, 1, "4")), Evidence(), "PRICE_CORRECTION",
         "the terms of its price changed"),
    ],
)  # fmt: skip
def test_one_reason_by_evidence(before: Books, now: Books, evidence: Evidence, code: str, origin: str) -> None:
    first = correct("2026-10", before, now, evidence)[0]
    assert (first.department, first.document["reason"], first.document["origin"]) == ("D1", code, f"2026-10: {origin}")


def test_a_row_replaced_while_more_came_is_told_apart() -> None:
    """10 under row 1; then 13 under row 2: what left row 1 is a price correction, what row 2 holds came late."""
    items = correct("2026-10", books(("D1", 10, 1, "5")), books(("D1", 13, 2, "13")), LATE)
    assert [(one.document["price_id"], one.document["reason"], one.exact) for one in items] == [
        ("P-000001", "PRICE_CORRECTION", Fraction(-5)), ("P-000002", "LATE_USAGE", Fraction(13))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code"),
    [("tax", "TAX_CORRECTION"), ("allocated", "ALLOCATION_CORRECTION"), ("adjustments", "CHARGE_CORRECTION")],
)
def test_other_sections(kind: str, code: str) -> None:
    position = Position(kind, ("openai", "10 %"))
    assert reason_of("D1", position, Books(), Books(), Evidence()).code == code


def test_a_correction_names_the_statement_that_it_corrects() -> None:
    before = books(("D1", 10, 1, "5"), hashes={"D1": "a" * 64})
    before.hashes[()] = "b" * 64
    items = correct("2026-10", before, books(("D1", 11, 1, "6"), ("D2", 1, 1, "1")), Evidence())
    assert [one.document["content_hash"] for one in items] == ["a" * 64, "b" * 64]
    assert all(is_correction(one) for one in items)
    assert correction_position(items[0]) == Position.of_use(*UNIT, 1)
    assert items[0].key == correction_key("2026-10", Position.of_use(*UNIT, 1))


def test_unpriced_use_counts_beyond_what_was_shown() -> None:
    assert late_unpriced(books(("D1", 10, None, "")), books(("D1", 10, None, ""), ("D2", 4, None, ""))) == 4
    assert late_unpriced(books(("D1", 10, None, "")), books(("D1", 8, None, ""))) == 0


def test_terms_of_a_contract_keep_the_code_of_their_row() -> None:
    assert price_code(7) == price_code(7 + (3 << 24)) == "P-000007"
    assert Position.of_use(*UNIT, 7) != Position.of_use(*UNIT, 7 + (3 << 24))


AMOUNTS = st.fractions(min_value=-10**6, max_value=10**6, max_denominator=999)
STATES = st.dictionaries(
    st.tuples(st.sampled_from(["D1", "D2", None]), st.sampled_from([Position.of_use(*UNIT, n) for n in (1, 2)]
                                                                   + [Position("tax", ("openai",))])),
    AMOUNTS,
)  # fmt: skip


@given(st.lists(STATES, min_size=1, max_size=6))
def test_corrections_telescope(states: list[dict[tuple[str | None, Position], Fraction]]) -> None:
    """Whatever a month comes to in turn, what was booked for it ends at exactly that, and then nothing is left."""
    booked = Books()
    for state in states:
        now = Books()
        for (department, position), exact in state.items():
            now.add(department, position, exact, 1)
        for charge in correct("2026-10", booked, now, Evidence()):
            booked.add(charge.department, correction_position(charge), charge.exact, 0)
        assert correct("2026-10", booked, now, Evidence()) == []
        for key in booked.positions.keys() | state.keys():
            held = booked.positions.get(key)
            assert (held.exact if held else 0) == state.get(key, 0)
