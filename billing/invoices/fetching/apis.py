"""The vendors' APIs as they are documented: where each stands, who may ask, how far back it answers, in what pieces.

Facts: the vendors' references. A day of every one of them is a UTC day. `format` names the importer that reads an
answer; a surface without an importer is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grain(StrEnum):
    """How a surface is asked."""

    UNIX_DAYS = "unix_days"
    """Daily buckets between two unix seconds, in pages (OpenAI)."""
    RFC3339_DAYS = "rfc3339_days"
    """Daily buckets between two RFC 3339 instants, in pages (Anthropic)."""
    ONE_DAY = "one_day"
    """One UTC date a request, no pages (OpenRouter)."""
    CYCLE = "cycle"
    """The invoices of a billing cycle that has ended (xAI)."""
    PREVIEW = "preview"
    """What the running billing cycle comes to so far (xAI)."""
    MONTH = "month"
    """A month by number, no pages (Mistral)."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One thing to ask for. `days_max`: days that one request may span, and buckets that one page may hold.

    `groups` are what the rows are split by: as fine as matching needs, and no finer.
    """

    name: str
    path: str
    format: str
    grain: Grain
    groups: tuple[str, ...] = ()
    days_max: int = 31
    back_days_max: int | None = None
    """The API answers for so many ended days only; None: for any."""

    @property
    def has_pages(self) -> bool:
        """Whether an answer says what comes next."""
        return self.grain in {Grain.UNIX_DAYS, Grain.RFC3339_DAYS}

    @property
    def knows_running_months(self) -> bool | None:
        """Whether it is for a month that runs (True), that has ended (False), or for both (None)."""
        return {Grain.PREVIEW: True, Grain.CYCLE: False}.get(self.grain)


@dataclass(frozen=True, slots=True)
class VendorApi:
    """One vendor's API. `names` are those under which the register may have the vendor, `setting` begins its settings.

    `key_header` and `key_prefix` say where the key goes; `headers` are sent with it.
    """

    setting: str
    names: tuple[str, ...]
    base_url: str
    key_kind: str
    surfaces: tuple[Surface, ...]
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: tuple[tuple[str, str], ...] = ()
    needs_team: bool = False


OPENAI = VendorApi(
    setting="openai",
    names=("openai",),
    base_url="https://api.openai.com",
    key_kind="admin key",
    surfaces=(
        Surface("costs", "/v1/organization/costs", "openai.costs_api", Grain.UNIX_DAYS, ("project_id", "line_item")),
        Surface(
            "usage",
            "/v1/organization/usage/completions",
            "openai.usage_api",
            Grain.UNIX_DAYS,
            ("project_id", "model", "batch", "service_tier"),
        ),
    ),
)
ANTHROPIC = VendorApi(
    setting="anthropic",
    names=("anthropic",),
    base_url="https://api.anthropic.com",
    key_kind="admin key",
    key_header="x-api-key",
    key_prefix="",
    surfaces=(
        Surface(
            "costs",
            "/v1/organizations/cost_report",
            "anthropic.cost_report",
            Grain.RFC3339_DAYS,
            ("workspace_id", "description"),
        ),
        Surface(
            "usage",
            "/v1/organizations/usage_report/messages",
            "anthropic.usage_report",
            Grain.RFC3339_DAYS,
            ("workspace_id", "model", "service_tier", "context_window", "inference_geo"),
        ),
    ),
    headers=(("anthropic-version", "2023-06-01"),),
)
OPENROUTER = VendorApi(
    setting="openrouter",
    names=("openrouter",),
    base_url="https://openrouter.ai",
    key_kind="management key",
    surfaces=(
        Surface(
            "activity", "/api/v1/activity", "openrouter.activity_api", Grain.ONE_DAY, days_max=1, back_days_max=30
        ),
    ),
)
XAI = VendorApi(
    setting="xai",
    names=("x-ai", "xai"),
    base_url="https://management-api.x.ai",
    key_kind="management key",
    surfaces=(
        Surface("invoices", "/v1/billing/teams/{team}/invoices", "x-ai.invoice", Grain.CYCLE),
        Surface("preview", "/v1/billing/teams/{team}/postpaid/invoice/preview", "x-ai.invoice", Grain.PREVIEW),
    ),
    needs_team=True,
)
MISTRAL = VendorApi(
    setting="mistral",
    names=("mistral", "mistralai"),
    base_url="https://console.mistral.ai",
    key_kind="admin key",
    key_header="x-api-key",
    key_prefix="",
    surfaces=(Surface("usage", "/api/admin/usage", "mistral.admin_usage", Grain.MONTH),),
)
APIS = (OPENAI, ANTHROPIC, OPENROUTER, XAI, MISTRAL)


def api_of(vendor: str) -> VendorApi | None:
    """The API of a vendor as the register names it; None where the vendor has none that is known."""
    return next((api for api in APIS if vendor in api.names), None)
