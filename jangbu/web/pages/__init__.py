"""Every page and resource, one module an area: what it reads, who may read it, what may be changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jangbu.web.pages import design

if TYPE_CHECKING:
    from jangbu.web.views import Registered

REGISTERED: tuple[Registered, ...] = (*design.REGISTERED,)
