"""Every page and resource, one module an area: what it reads, who may read it, what may be changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jangbu.web.pages import alerts, data_quality, design, me, pledges, programmes, quotas

if TYPE_CHECKING:
    from jangbu.web.views import Registered

REGISTERED: tuple[Registered, ...] = (
    *quotas.REGISTERED,
    *alerts.REGISTERED,
    *programmes.REGISTERED,
    *pledges.REGISTERED,
    *data_quality.REGISTERED,
    *me.REGISTERED,
    *design.REGISTERED,
)
