"""How Kafka is reached: its addresses, and what a connection to them is made with.

Three clients talk to Kafka: librdkafka sends, kafka-python asks about the topic, aiokafka (below Faust) reads. Each
takes the same access by other names. Names of brokers are checked against their certificates, always.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

Protocol = Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class UnusableCertificate(ValueError):
    """A file of an access holds no certificate or key that can be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user of Kafka's and how the password is proved (SASL)."""

    user: str
    password: str = field(repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Where Kafka is and how a connection is made; as text its addresses.

    Attributes:
        bootstrap: `host:port[,host:port…]`.
        is_encrypted: TLS.
        authority_file: PEM of the authorities that signed the brokers' certificates; None: the system's.
        certificate_file: PEM of our own certificate, for brokers that ask for one.
        key_file: PEM of its key, without a passphrase.
        login: None where the connection itself is enough.
    """

    bootstrap: str
    is_encrypted: bool = False
    authority_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    login: Login | None = None

    def __str__(self) -> str:
        return self.bootstrap

    @property
    def protocol(self) -> Protocol:
        """Kafka's `security.protocol`."""
        if self.login is None:
            return "SSL" if self.is_encrypted else "PLAINTEXT"
        return "SASL_SSL" if self.is_encrypted else "SASL_PLAINTEXT"

    def tls(self) -> ssl.SSLContext | None:
        """What TLS is spoken with; None without it. Raises UnusableCertificate."""
        if not self.is_encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.authority_file)
        except (OSError, ValueError) as error:
            raise UnusableCertificate(f"{self.authority_file} holds no authority's certificate ({error})") from error
        if self.certificate_file is not None:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file, password=_no_passphrase)
            except (OSError, ValueError) as error:
                pair = f"{self.certificate_file} and {self.key_file}"
                raise UnusableCertificate(f"{pair} are no certificate and its key ({error})") from error
        return context

    def for_librdkafka(self) -> dict[str, Any]:
        """By librdkafka's names."""
        files = {
            "ssl.ca.location": self.authority_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file,
        }
        named = {name: str(file) for name, file in files.items() if file is not None}
        if self.login is not None:
            named |= {
                "sasl.mechanism": self.login.mechanism,
                "sasl.username": self.login.user,
                "sasl.password": self.login.password,
            }
        return {"bootstrap.servers": self.bootstrap, "security.protocol": self.protocol, **named}

    def for_kafka_python(self) -> dict[str, Any]:
        """By kafka-python's names. Raises UnusableCertificate."""
        named: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.protocol,
            "ssl_context": self.tls(),
        }
        if self.login is not None:
            named |= {
                "sasl_mechanism": self.login.mechanism,
                "sasl_plain_username": self.login.user,
                "sasl_plain_password": self.login.password,
            }
        return named


def _no_passphrase() -> str:
    """Instead of asking on the terminal, which a service has none of."""
    raise ValueError("the key asks for a passphrase: keep it without one, in a file of mode 0600")
