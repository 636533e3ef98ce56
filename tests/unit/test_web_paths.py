"""Names of any signs as parts of paths: what a link holds comes back as the same name, and nothing of it separates."""

from __future__ import annotations

from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.web.answers import Refused
from jangbu.web.paths import TAKEN, name_of, name_part

NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1)


@given(st.one_of(NAMES, st.sampled_from(sorted(TAKEN))))
def test_a_name_comes_back_and_nothing_separates(name: str) -> None:
    part = name_part(name)
    arrived = unquote(part)  # as the server decodes a path before it parts it
    assert name_of(arrived) == name
    assert "/" not in arrived
    assert arrived not in TAKEN
    assert urljoin("http://host/reconciliation/", f"{part}/2026-10") == f"http://host/reconciliation/{part}/2026-10"
    assert part.isascii()


def test_plain_names_stay_as_they_are() -> None:
    assert name_part("aws-marketplace_2.eu") == "aws-marketplace_2.eu"


def test_a_sign_that_no_database_keeps_is_refused() -> None:
    with pytest.raises(Refused):
        name_of("a%00b")
