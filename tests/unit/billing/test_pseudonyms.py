"""Pseudonyms: the same for one name under one key, another for any other, and nothing of the name in them."""

from __future__ import annotations

import base64
import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from billing.pseudonyms import Pseudonyms, shown_rows

KEY = "a-key-that-nobody-knows"
names = st.text(min_size=1, max_size=40)


def hmac_by_hand(key: bytes, message: bytes) -> bytes:
    """RFC 2104, written out."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()


@given(names)
def test_a_pseudonym_is_the_beginning_of_a_keyed_hash(name: str) -> None:
    shown = Pseudonyms(KEY).of("user", name)
    expected = base64.b32encode(hmac_by_hand(KEY.encode(), b"user\0" + name.encode()))
    assert shown == "p-" + expected[:16].decode().lower()
    assert re.fullmatch(r"p-[a-z2-7]{16}", shown)  # no formula, no file name of its own


@given(names, names)
def test_another_name_column_or_key_gives_another(one: str, other: str) -> None:
    people = Pseudonyms(KEY)
    assert (people.of("user", one) == people.of("user", other)) is (one == other)
    assert people.of("user", one) != people.of("key", one)
    assert people.of("user", one) != Pseudonyms(KEY + "x").of("user", one)


def test_the_key_stands_in_no_repr() -> None:
    assert KEY not in repr(Pseudonyms(KEY)) + str(Pseudonyms(KEY))


@given(st.lists(st.one_of(st.none(), names), unique=True, max_size=20))
def test_rows_are_sorted_by_what_they_show(users: list[str | None]) -> None:
    """Nobody last, as in the rows of usage; every row keeps what it held beside."""
    rows = [{"user": user, "quantity": str(place)} for place, user in enumerate(users)]
    people = Pseudonyms(KEY)
    shown = shown_rows(people, rows, ("user",))
    stated = [str(row["user"]) for row in shown if row["user"] is not None]
    assert stated == sorted(stated)
    assert {(row["user"], row["quantity"]) for row in shown} == {
        (None if row["user"] is None else people.of("user", str(row["user"])), row["quantity"]) for row in rows
    }
    assert all(row["user"] is not None for row in shown[:-1])


def test_rows_that_name_nobody_stay_as_they_are() -> None:
    rows = [{"model": "b"}, {"model": "a"}]
    assert shown_rows(Pseudonyms(KEY), rows, ("model",)) is rows
    assert shown_rows(None, rows, ("user",)) is rows
