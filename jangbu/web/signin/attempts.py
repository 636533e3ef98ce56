"""How often somebody may try to sign in: kept in the database, so that processes count together.

An attempt is noted before the password is looked at, in a transaction of its own, and those of one account or address
are noted one after another: each sees every earlier one, so that a hundred at once do not slip through together.
Whoever signs in rightly is no longer counted; a refused attempt does not prolong the wait. Within WINDOW an account
takes 5 attempts from one address and 30 from all, an address 30: one attacker cannot lock an account for its owner,
many together can guess thirty times.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from jangbu.web.signin.secrets import digest

if TYPE_CHECKING:
    from sqlalchemy import Engine

WINDOW: Final = "15 minutes"
WAIT_S: Final = 900
PAIR_MAX: Final = 5
ACCOUNT_MAX: Final = 30
ADDRESS_MAX: Final = 30
_IN_TURN = text("select pg_advisory_xact_lock(hashtextextended('web_attempt ' || :key, 0))")
_NOTE = text("insert into web_attempt (key) values (:key) returning id")
_EARLIER = text(f"select count(*) from web_attempt where key = :key and id <= :id and at > now() - interval '{WINDOW}'")


def admit(engine: Engine, address: str, account: str | None = None) -> list[int] | None:
    """Note an attempt; None where there were too many, else its rows for `forget` after a right one.

    Args:
        address: the client's; of IPv6 its /64 counts.
        account: what was typed, folded; kept as a hash, since people type passwords there.
    """
    place = _place(address)
    keys = {f"address {place}": ADDRESS_MAX}
    if account is not None:
        who = digest(account).hex()
        keys |= {f"account {who}": ACCOUNT_MAX, f"pair {who} {place}": PAIR_MAX}
    with engine.begin() as connection:
        connection.execute(text("delete from web_attempt where at < now() - interval '1 day'"))
        for key in sorted(keys):  # in one order everywhere; held until the notes can be seen
            connection.execute(_IN_TURN, {"key": key})
        noted = {key: int(connection.execute(_NOTE, {"key": key}).scalar_one()) for key in keys}
    with engine.begin() as connection:
        counts = {key: connection.execute(_EARLIER, {"key": key, "id": noted[key]}).scalar_one() for key in keys}
        if all(counts[key] <= most for key, most in keys.items()):
            return list(noted.values())
        _delete = text("delete from web_attempt where id = any(:ids)")
        connection.execute(_delete, {"ids": list(noted.values())})
    return None


def forget(engine: Engine, noted: list[int]) -> None:
    """The attempt was right: it counts no longer."""
    with engine.begin() as connection:
        connection.execute(text("delete from web_attempt where id = any(:ids)"), {"ids": noted})


def _place(address: str) -> str:
    try:
        told = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(told, IPv6Address) and told.ipv4_mapped is None:
        return f"{IPv6Address(int(told) >> 64 << 64)}/64"
    return str(told)
