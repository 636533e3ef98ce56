"""Keeping what a command has computed of an open month, so that the next one reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from billing.open_months import Keeper, OpenMonth
    from jangbu.context import Context


def keeper_of(ctx: Context) -> Keeper:
    """Keeps computed months by billing's login. Who has none, or may not write, has computed all the same."""

    def keep_month(computed: OpenMonth) -> None:
        from sqlalchemy.exc import DBAPIError

        from billing.open_months import keep
        from jangbu.errors import SettingsError

        try:
            with ctx.engine("billing") as engine:
                keep(engine, computed)
        except (DBAPIError, SettingsError):
            return

    return keep_month
