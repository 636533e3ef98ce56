"""An OTLP export of nothing is legal; an object that is something else is refused by name."""

from __future__ import annotations

import pytest

from producers.adapters.otel import spans_of
from producers.contract import EventRefused


@pytest.mark.parametrize("empty", [b"{}", b" { } ", b'{"resourceSpans":[]}', b'{"resourceSpans":null}'])
def test_an_export_of_nothing_holds_no_spans(empty: bytes) -> None:
    assert spans_of(empty) == []


@pytest.mark.parametrize("other", [b'{"specversion":"1.0"}', b'{"resourceLogs":[]}'])
def test_another_object_is_not_swallowed(other: bytes) -> None:
    with pytest.raises(EventRefused, match="resourceSpans"):
        spans_of(other)


@pytest.mark.parametrize("broken", [b"[]", b"", b"null", b"{"])
def test_what_is_no_object_is_refused(broken: bytes) -> None:
    with pytest.raises(EventRefused):
        spans_of(broken)
