"""Sending an alert: mail over SMTP, a chat's webhook in Slack's form, and a signed webhook of ours.

At least once: what was sent and not noted is sent again with the same id (`Message-ID`, `X-Jangbu-Delivery`). Redirects
are not followed. No error names more of an address than its host, nor any secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx2

from billing.periods import hour_number
from billing.quotas.deliveries import Delivery, delivery_id
from billing.quotas.messages import document_of, message_of
from billing.quotas.recipients import parse_recipient
from billing.quotas.register import Alert

if TYPE_CHECKING:
    from billing.outputs.texts import Language
    from billing.pseudonyms import Pseudonyms
    from billing.quotas.recipients import Recipient
    from jangbu.settings import Settings

TIMEOUT_S = 10.0
_REFUSED_FOR_GOOD = {400, 401, 403, 404, 405, 410, 413, 415, 422}
_SMTP_PERMANENT = 500


class NotTaken(Exception):
    """A delivery was not taken. `for_good`: trying again as it is would not help."""

    def __init__(self, sentence: str, *, for_good: bool = False) -> None:
        super().__init__(sentence)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, from `smtp://user:password@host:port` or `smtps://…`."""

    host: str
    port: int
    is_tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def of_url(cls, url: str) -> MailServer:
        """The server that a checked URL names."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.hostname or "", parts.port or (465 if is_tls else 587), is_tls, user, password)


@dataclass(frozen=True, slots=True)
class Senders:
    """What the settings allow to send with. What is missing is said in the delivery's error, and tried again."""

    zone: str
    language: Language
    mail: MailServer | None = None
    mail_from: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    people: Pseudonyms | None = None

    def send(self, delivery: Delivery) -> None:
        """Hand one delivery to its receiver. Raises NotTaken."""
        try:
            recipient = parse_recipient(delivery.recipient)
        except ValueError as error:
            raise NotTaken(str(error), for_good=True) from None
        if self.people is not None and delivery.alert.scope == "user":
            shown = self.people.of("user", delivery.alert.subject)
            delivery = delivery._replace(alert=delivery.alert._replace(subject=shown))
        if recipient.channel == "mail":
            self._mail(delivery, recipient)
        elif recipient.channel == "slack":
            text = message_of(delivery.alert, self.zone, self.language).text
            safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            body = json.dumps({"text": safe}, ensure_ascii=False).encode()
            _post(recipient, body, {"X-Jangbu-Delivery": delivery.id})
        else:
            self._webhook(delivery, recipient)

    def _webhook(self, delivery: Delivery, recipient: Recipient) -> None:
        if self.webhook_secret is None:
            raise NotTaken("no secret signs webhooks: set JANGBU_WEBHOOK_SECRET")
        body = json.dumps(document_of(delivery.alert, delivery.id), ensure_ascii=False).encode()
        at = str(int(time.time()))
        headers = {
            "X-Jangbu-Delivery": delivery.id,
            "X-Jangbu-Timestamp": at,
            "X-Jangbu-Signature": "v1=" + signature(self.webhook_secret, at, body),
        }
        _post(recipient, body, headers)

    def _mail(self, delivery: Delivery, recipient: Recipient) -> None:
        if self.mail is None or self.mail_from is None:
            raise NotTaken("no mail server is set: set JANGBU_SMTP_URL and JANGBU_MAIL_FROM")
        said = message_of(delivery.alert, self.zone, self.language)
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self.mail_from, recipient.address, said.subject
        mail["Date"] = formatdate(delivery.alert.recorded_at.timestamp())
        mail["Message-ID"] = f"<{delivery.id}@{self.mail_from.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(said.text)
        mail.add_alternative(said.html, subtype="html")
        try:
            with self._connected(self.mail) as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            is_final = code >= _SMTP_PERMANENT
            raise NotTaken(f"the mail server refuses the recipient ({code})", for_good=is_final) from None
        except smtplib.SMTPAuthenticationError:
            raise NotTaken("the mail server refuses the login: check JANGBU_SMTP_URL") from None
        except smtplib.SMTPResponseException as error:
            raise NotTaken(f"the mail server answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotTaken(f"the mail server does not answer ({type(error).__name__})") from None

    @staticmethod
    def _connected(server: MailServer) -> smtplib.SMTP:
        """A session with the server, encrypted where it can be; a login is never sent in clear."""
        context = ssl.create_default_context()
        if server.is_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        else:
            session = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
            session.ehlo()
            if session.has_extn("starttls"):
                session.starttls(context=context)
                session.ehlo()
            elif server.user is not None:
                session.close()
                raise NotTaken("the mail server offers no encryption, and a login is not sent in clear")
        if server.user is not None:
            session.login(server.user, server.password or "")
        return session


def senders_of(settings: Settings, people: Pseudonyms | None) -> Senders:
    """What the settings allow to send with; `people`: what stands for users in messages."""
    return Senders(
        settings.timezone,
        "en" if settings.alert_language == "en" else "ko",
        None if settings.smtp_url is None else MailServer.of_url(settings.smtp_url),
        settings.mail_from,
        settings.webhook_secret,
        people,
    )


def trial(recipient: str) -> Delivery:
    """A made-up delivery, to see that one arrives; its alert has the number 0."""
    now = datetime.now(UTC)
    alert = Alert(
        0, 0, "organisation", "", "", "tokens", "day", hour_number(now), Decimal(80), Decimal(80), Decimal(100), now, ()
    )
    return Delivery(delivery_id(0, f"{recipient} {now.isoformat()}"), alert, recipient, 0)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hex over `timestamp.body`: a receiver refuses one whose timestamp is minutes away."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(recipient: Recipient, body: bytes, headers: dict[str, str]) -> None:
    try:
        answer = httpx2.post(
            recipient.address,
            content=body,
            headers={"Content-Type": "application/json", **headers},
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )
    except httpx2.HTTPError as error:
        raise NotTaken(f"{recipient.shown} does not answer ({type(error).__name__})") from None
    if not answer.is_success:
        code = answer.status_code
        raise NotTaken(f"{recipient.shown} answered {code}", for_good=code in _REFUSED_FOR_GOOD)
