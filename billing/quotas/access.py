"""Who may use which models besides quotas: pledges that hold, and programmes' models. Read whole, for a gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.periods import day_start, hour_start, load_zone
from billing.pledges.pledge import state_of
from billing.pledges.register import signatures_by_user
from billing.programmes.places import places_of
from billing.programmes.programme import state_on
from billing.programmes.register import held_applications, held_programmes

if TYPE_CHECKING:
    from datetime import datetime

    from billing.pledges.pledge import PledgeRules


def read_access(
    connection: Connection, rules: PledgeRules, zone: str, moment: datetime, sign_at: str | None
) -> dict[str, Any]:
    """As a gateway gets it: `pledges` (null where no register holds any signature: nobody is asked then) with those
    whose pledge holds, by name, `programmes` that run, with their models and who has a place now, and the departments
    of `users` and `keys` by the roster."""
    day = moment.astimezone(load_zone(zone)).date()
    signed = signatures_by_user(connection)
    holding = sorted(user for user, own in signed.items() if state_of(user, own, rules, day).may_use)
    applications = held_applications(connection)
    programmes = [
        {
            "programme": one.programme,
            "models": list(one.models),
            "users": sorted({place.user for place in places_of(one, applications) if place.holds(moment)}),
        }
        for one in held_programmes(connection).values()
        if state_on(one, day) == "running"
    ]
    users, keys = (_departments(connection, column, moment) for column in ("user", "key"))
    pledges = {"holding": holding, "sign_at": sign_at} if signed else None
    return {"users": users, "keys": keys, "pledges": pledges, "programmes": programmes}


def access_until(connection: Connection, zone: str, moment: datetime) -> datetime:
    """Until when `read_access` says the same as at an instant where no register changes: the next local midnight, or
    where somebody's row of the roster or place begins or ends before it."""
    tomorrow = moment.astimezone(load_zone(zone)).date() + timedelta(days=1)
    edges = connection.execute(
        text("""select min(edge) from (
                  select valid_from as edge from roster union all select valid_to from roster
                  union all select applied_at from programme_application
                  union all select left_at from programme_application) edges where edge > :moment"""),
        {"moment": moment},
    ).scalar()
    midnight = hour_start(day_start(tomorrow, zone))
    return midnight if edges is None else min(midnight, edges)


def _departments(connection: Connection, column: str, moment: datetime) -> dict[str, str]:
    """Whose department is which now."""
    rows = connection.execute(
        text(f"""select distinct on ("{column}") "{column}", department from roster
                 where "{column}" is not null and valid_from <= :moment and (valid_to is null or valid_to > :moment)
                 order by "{column}", valid_from desc, id desc"""),
        {"moment": moment},
    )
    return {row[0]: row[1] for row in rows}
