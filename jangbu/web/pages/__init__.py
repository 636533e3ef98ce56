"""Every page and resource, one module an area: what it reads, who may read it, what may be changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jangbu.web.pages import (
    alerts,
    data_quality,
    design,
    first_start,
    ledger,
    me,
    overview,
    pledges,
    prices,
    programmes,
    quotas,
    saved_views,
    usage,
    usage_events,
)

if TYPE_CHECKING:
    from jangbu.web.views import Registered

REGISTERED: tuple[Registered, ...] = (
    *overview.REGISTERED,
    *first_start.REGISTERED,
    *usage.REGISTERED,
    *usage_events.REGISTERED,
    *saved_views.REGISTERED,
    *prices.REGISTERED,
    *quotas.REGISTERED,
    *alerts.REGISTERED,
    *programmes.REGISTERED,
    *pledges.REGISTERED,
    *data_quality.REGISTERED,
    *ledger.REGISTERED,
    *me.REGISTERED,
    *design.REGISTERED,
)
