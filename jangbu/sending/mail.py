"""Mail over SMTP: one session for many messages, encrypted where the server can, a login never in clear."""

from __future__ import annotations

import contextlib
import smtplib
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from jangbu.sending.not_taken import NotTaken
from jangbu.sending.trust import trusted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing.alerts.messages import Message

TIMEOUT_S = 10.0
IDLE_S_MAX = 5.0
"""A session that was not used for so long is opened anew: servers end what is idle."""
MESSAGES_MAX = 100
"""Of one session; servers count."""
_PERMANENT = 500


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


class MailSession:
    """Messages to one server, one after the other. Not for several threads."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._open: smtplib.SMTP | None = None
        self._sent = 0
        self._used_s = 0.0

    def send(
        self, said: Message, sender: str, to: str, message: str, at: datetime, deliveries: Sequence[str]
    ) -> None:
        """Hand one message over. `message` becomes its Message-ID, the same whenever it is sent. Raises NotTaken."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, to, said.subject
        mail["Date"] = formatdate(at.timestamp())
        mail["Message-ID"] = f"<{message}@{sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        for one in deliveries:
            mail["X-Jangbu-Delivery"] = one
        mail.set_content(said.text)
        mail.add_alternative(said.html, subtype="html")
        try:
            session = self._connected()
            session.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            is_final = code >= _PERMANENT
            self._reset()
            raise NotTaken(f"the mail server refuses the recipient ({code})", for_good=is_final) from None
        except smtplib.SMTPAuthenticationError:
            self.close()
            raise NotTaken("the mail server refuses the login: check JANGBU_SMTP_URL") from None
        except smtplib.SMTPResponseException as error:
            self.close()
            raise NotTaken(f"the mail server answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise NotTaken(f"the mail server does not answer ({type(error).__name__})") from None
        self._sent += 1
        self._used_s = time.monotonic()

    def close(self) -> None:
        """Say goodbye, if there is somebody to say it to."""
        session, self._open, self._sent = self._open, None, 0
        if session is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def _reset(self) -> None:
        """Forget a message that was begun; the session goes on."""
        if self._open is not None:
            try:
                self._open.rset()
            except (smtplib.SMTPException, OSError):
                self.close()

    def _connected(self) -> smtplib.SMTP:
        """The session that is open, or a new one. What the server ended meanwhile is found out before a message is
        handed over, so that its end is no failure of the message."""
        session, idle_s = self._open, time.monotonic() - self._used_s
        if session is not None and self._sent < MESSAGES_MAX and idle_s < IDLE_S_MAX and self._is_alive(session):
            return session
        self.close()
        self._open = _connect(self._server)
        return self._open

    @staticmethod
    def _is_alive(session: smtplib.SMTP) -> bool:
        try:
            return session.noop()[0] == 250
        except (smtplib.SMTPException, OSError):
            return False


def _connect(server: MailServer) -> smtplib.SMTP:
    """A session with the server, encrypted where it can be; a login is never sent in clear."""
    if server.is_tls:
        session: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=trusted())
    else:
        session = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    try:
        _introduce(session, server)
    except BaseException:
        session.close()
        raise
    return session


def _introduce(session: smtplib.SMTP, server: MailServer) -> None:
    if not server.is_tls:
        session.ehlo()
        if session.has_extn("starttls"):
            session.starttls(context=trusted())
            session.ehlo()
        elif server.user is not None:
            raise NotTaken("the mail server offers no encryption, and a login is not sent in clear")
    if server.user is not None:
        session.login(server.user, server.password or "")
