"""Every page and resource, one module an area: what it reads, who may read it, what may be changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jangbu.web.pages import (
    accounts,
    alerts,
    breaks,
    data_quality,
    department,
    department_explain,
    department_files,
    department_people,
    departments,
    design,
    first_start,
    invoice_files,
    ledger,
    me,
    month_end,
    month_end_files,
    overview,
    own_places,
    pledges,
    prices,
    programmes,
    quotas,
    reconciliation,
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
    *departments.REGISTERED,
    *department.REGISTERED,
    *department_people.REGISTERED,
    *department_explain.REGISTERED,
    *department_files.REGISTERED,
    *month_end.REGISTERED,
    *month_end_files.REGISTERED,
    *prices.REGISTERED,
    *quotas.REGISTERED,
    *alerts.REGISTERED,
    *programmes.REGISTERED,
    *pledges.REGISTERED,
    *data_quality.REGISTERED,
    *ledger.REGISTERED,
    *invoice_files.REGISTERED,
    *breaks.REGISTERED,
    *reconciliation.REGISTERED,
    *accounts.REGISTERED,
    *me.REGISTERED,
    *own_places.REGISTERED,
    *design.REGISTERED,
)
