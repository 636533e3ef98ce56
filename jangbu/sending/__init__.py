"""Sending alerts: mail over SMTP, a chat's webhook in Slack's form, a signed webhook of ours, a program.

At least once: what was sent and not noted is sent again with the same id (`Message-ID`, `X-Jangbu-Delivery`). No error
names more of an address than its host, nor any secret.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from billing.alerts.alert import Alert, uid_of
from billing.alerts.deliveries import Delivery, Parcel, delivery_id
from billing.alerts.messages import document_of, message_of
from billing.alerts.recipients import parse_recipient
from billing.periods import hour_number
from jangbu.sending.mail import MailServer, MailSession
from jangbu.sending.not_taken import NotTaken
from jangbu.sending.posts import post, signed_headers
from jangbu.sending.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.alerts.recipients import Recipient
    from billing.outputs.texts import Language
    from billing.pseudonyms import Pseudonyms
    from jangbu.settings import Settings

__all__ = ["MailServer", "NotTaken", "Senders", "senders_of", "trial"]
PERSONAL_FIELDS = ("user",)


@dataclass(frozen=True, slots=True)
class Senders:
    """What the settings allow to send with. What is missing is said in the delivery's error, and tried again.

    Usable by one thread at a time: a session with the mail server is kept open between messages until `close`.
    """

    zone: str
    language: Language
    mail: MailServer | None = None
    mail_from: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    people: Pseudonyms | None = None
    commands: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    command_seconds: int = 10
    _session: list[MailSession] = field(default_factory=list, repr=False)

    def fresh(self) -> Senders:
        """The same for another thread, with sessions of its own."""
        return Senders(
            self.zone, self.language, self.mail, self.mail_from, self.webhook_secret, self.people, self.commands,
            self.command_seconds,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session with the mail server; the next message opens another."""
        while self._session:
            self._session.pop().close()

    def send(self, parcel: Parcel) -> None:
        """Hand one message to its receiver. Raises NotTaken, whatever is wrong with it or its address: one message that
        cannot be sent must not keep those behind it from being sent."""
        try:
            recipient = parse_recipient(parcel.recipient)
        except ValueError as error:
            raise NotTaken(str(error), for_good=True) from None
        try:
            self._hand_over(parcel, recipient)
        except NotTaken:
            raise
        except Exception as error:
            raise NotTaken(f"{recipient.shown} cannot be sent to ({type(error).__name__})") from error

    def _hand_over(self, parcel: Parcel, recipient: Recipient) -> None:
        shown = [(one.id, self._shown(one.alert)) for one in parcel.deliveries]
        if recipient.channel == "mail":
            self._mail(parcel.id, shown, recipient)
        elif recipient.channel == "slack":
            said = message_of([alert for _, alert in shown], [name for name, _ in shown], self.zone, self.language)
            safe = said.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            post(recipient, _json({"text": safe}), {"X-Jangbu-Delivery": parcel.id})
        else:
            for delivery, alert in shown:
                self._to_program(delivery, alert, recipient)

    def _to_program(self, delivery: str, alert: Alert, recipient: Recipient) -> None:
        """A webhook or a command: one alert each."""
        body = _json(document_of(alert, delivery))
        if recipient.channel == "command":
            argv = self.commands.get(recipient.address)
            if argv is None:
                raise NotTaken(f"no command {recipient.address!r} is set: name it in JANGBU_ALERT_COMMANDS")
            run_program(argv, body, self.command_seconds)
            return
        if self.webhook_secret is None:
            raise NotTaken("no secret signs webhooks: set JANGBU_WEBHOOK_SECRET")
        post(recipient, body, {"X-Jangbu-Delivery": delivery, **signed_headers(self.webhook_secret, body)})

    def _mail(self, message: str, shown: Sequence[tuple[str, Alert]], recipient: Recipient) -> None:
        if self.mail is None or self.mail_from is None:
            raise NotTaken("no mail server is set: set JANGBU_SMTP_URL and JANGBU_MAIL_FROM")
        said = message_of([alert for _, alert in shown], [name for name, _ in shown], self.zone, self.language)
        if not self._session:
            self._session.append(MailSession(self.mail))
        self._session[0].send(
            said, self.mail_from, recipient.address, message, max(alert.recorded_at for _, alert in shown),
            [name for name, _ in shown],
        )  # fmt: skip

    def _shown(self, alert: Alert) -> Alert:
        """With a pseudonym where the settings ask for one."""
        if self.people is None or alert.scope != "user":
            return alert
        content = {
            name: self.people.of("user", value) if name in PERSONAL_FIELDS and isinstance(value, str) else value
            for name, value in alert.content.items()
        }
        return alert._replace(subject=self.people.of("user", alert.subject), content=content)


def senders_of(settings: Settings, people: Pseudonyms | None) -> Senders:
    """What the settings allow to send with; `people`: what stands for users in messages."""
    return Senders(
        settings.timezone,
        "en" if settings.alert_language == "en" else "ko",
        None if settings.smtp_url is None else MailServer.of_url(settings.smtp_url),
        settings.mail_from,
        settings.webhook_secret,
        people,
        settings.alert_commands,
        settings.alert_command_seconds,
    )


def trial(recipient: str) -> Parcel:
    """A made-up message, to see that one arrives; its alert has the number 0."""
    now = datetime.now(UTC)
    content: dict[str, Any] = {
        "model": "", "unit": "tokens", "window": "day", "window_hour": hour_number(now), "used": "80", "limit": "100",
        "threshold": "80",
    }  # fmt: skip
    key = f"trial/{now.isoformat()}"
    alert = Alert(
        0, uid_of("threshold", key), "threshold", key, "warning", "organisation", "", None, None, content, (), None, now
    )
    delivery = Delivery(delivery_id(alert.uid, recipient), alert, recipient, 0)
    return Parcel(delivery.id, recipient, (delivery,))


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
