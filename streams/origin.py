"""Where an event comes from and who pays: what nearly every event shares with many others, kept once.

An event holds a reference to its origin instead of a dozen names; the numbers that SQL knows them by are filled in
before the rows are packed (`streams.prepare`) and stay right for good, because numbers are never taken back.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from streams.attribution import Payer


class Route(NamedTuple):
    """Where usage went, as the table `route` holds it."""

    source: str
    provider: str
    model: str
    account: str | None
    service_tier: str
    region: str | None
    operation: str | None
    status: str
    usage_source: str
    reported_currency: str | None


class Origin:
    """A route, a payer and an attempt that events share. Two events of one content have equal ones, not the same.

    The payer holds for times in [since_us, until_us): a roster says who pays as of the event's time.
    `identity_prefix` stands before the id where the identity is hashed. `numbers` is None until both have numbers, then
    the bytes of the fields `route_id` and `payer_id` as COPY wants them.
    """

    __slots__ = (
        "attempt", "identity_prefix", "numbers", "payer", "payer_id", "route", "route_id", "since_us", "until_us",
    )  # fmt: skip

    def __init__(self, route: Route, payer: Payer, attempt: int | None, since_us: int, until_us: int) -> None:
        self.route = route
        self.payer = payer
        self.attempt = attempt
        self.since_us = since_us
        self.until_us = until_us
        source = route.source.encode()
        self.identity_prefix = b"%d:%b" % (len(source), source)
        self.route_id = self.payer_id = 0
        self.numbers: bytes | None = None

    def give_numbers(self, route_id: int, payer_id: int) -> None:
        """Note what SQL knows the route and the payer by."""
        self.route_id, self.payer_id = route_id, payer_id
        self.numbers = _NUMBERS(4, route_id, 4, payer_id)


_NUMBERS = Struct(">iiii").pack
