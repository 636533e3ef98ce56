"""The settings of a gateway's process, checked at its start (contract.md, sections 2 and 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jangbu import settings
from jangbu.errors import SettingsError
from jangbu.settings_kafka import set_broker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from producers.broker_access import BrokerAccess


@dataclass(frozen=True)
class GatewaySettings:
    """Where events go, and in whose name.

    broker: Kafka; None: events are posted to `url` with `token`.
    directory: holds the outboxes and status files of this machine's proxy processes.
    queue_events_max: how many events may wait in memory for the outbox.
    quota, quota_fail, quota_output_tokens_max: as in `jangbu.settings_gateway`.
    door_url, door_token: where quotas are asked for.
    """

    source: str
    department_from: str
    broker: BrokerAccess | None
    topic: str
    url: str | None
    token: str | None = field(repr=False)
    directory: Path
    queue_events_max: int
    quota: str = "off"
    quota_fail: str = "open"
    quota_output_tokens_max: int | None = None
    door_url: str | None = None
    door_token: str | None = field(repr=False, default=None)


def read(environ: Mapping[str, str] | None = None) -> GatewaySettings:
    """Read and check them. Raises SettingsError: which setting, what is wrong with it, what to write."""
    found = settings.load(environ=environ)
    if not found.source:
        raise SettingsError("JANGBU_SOURCE is not set: name this gateway, the same name for all its proxy processes")
    if found.kafka_bootstrap is None and found.url is None:
        raise SettingsError(
            "neither JANGBU_KAFKA_BOOTSTRAP nor JANGBU_URL is set: say where events go, to Kafka (host:port) or to "
            "jangbu's HTTP door (http://host:port, with JANGBU_TOKEN)"
        )
    if found.kafka_bootstrap is None and found.token is None:
        raise SettingsError("JANGBU_URL is set and JANGBU_TOKEN is not: give the token that the door knows")
    if found.quota != "off" and (found.url is None or found.token is None):
        raise SettingsError(
            f"JANGBU_QUOTA is {found.quota}, and JANGBU_URL or JANGBU_TOKEN is not set: quotas are asked for at "
            "jangbu's HTTP door, also where events go to Kafka"
        )
    return GatewaySettings(
        source=found.source,
        department_from=found.gateway_department_from,
        broker=set_broker(found),
        topic=found.topic,
        url=None if found.kafka_bootstrap else found.url,
        token=None if found.kafka_bootstrap else found.token,
        directory=found.data_dir / "gateway",
        queue_events_max=found.gateway_queue_events_max,
        quota=found.quota,
        quota_fail=found.quota_fail,
        quota_output_tokens_max=found.quota_output_tokens_max,
        door_url=found.url,
        door_token=found.token,
    )


def goes_on_unmetered(environ: Mapping[str, str]) -> bool:
    """Whether a proxy with wrong settings starts all the same. Anything but `continue` means that it does not."""
    return environ.get("JANGBU_GATEWAY_ON_BAD_SETTINGS", "fail") == "continue"
