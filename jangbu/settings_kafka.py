"""Settings of the way to a Kafka that asks who comes: TLS, a certificate of our own, a user with a password.

The password comes from the environment or from a file of its own that nobody else may read, as vendors' keys do, never
from jangbu.toml. It is shown nowhere. Names and values are Kafka's own (`security.protocol`, `sasl.mechanism`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from jangbu.errors import SettingsError
from jangbu.settings_secret_files import check_nobody_else_reads, read_secret
from jangbu.settings_values import parse_path

if TYPE_CHECKING:
    from jangbu.services.membership import Endpoints
    from jangbu.settings import Settings
    from producers.broker_access import BrokerAccess, Login

OWN_FILES: Final = ("kafka_certificate_file", "kafka_key_file")
TLS_FILES: Final = ("kafka_authority_file", *OWN_FILES)
LOGIN: Final = ("kafka_user", "kafka_password", "kafka_password_file")
USED_BY: Final = {"plaintext": (), "ssl": TLS_FILES, "sasl_ssl": (*TLS_FILES, *LOGIN), "sasl_plaintext": LOGIN}
"""Kafka's protocols, and which settings each makes use of."""
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
USER_CHARACTERS_MAX: Final = 200
PASSWORD_CHARACTERS_MAX: Final = 1_000


def parse_user(text: str) -> str:
    """A user of Kafka's."""
    if not text.strip() or not text.isprintable() or len(text) > USER_CHARACTERS_MAX:
        raise ValueError(f"is not the name of a user: write 1 to {USER_CHARACTERS_MAX} printable characters")
    return text


def parse_password(text: str) -> str:
    """A password as Kafka's administrator gave it: visible ASCII, since SCRAM would otherwise normalise it."""
    if not 1 <= len(text) <= PASSWORD_CHARACTERS_MAX or not all("!" <= sign <= "~" for sign in text):
        raise ValueError("is not a usable password: write visible ASCII characters without blanks")
    return text


def _upper_or_lower(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Kafka writes its protocols in capitals, people do not."""

    def parse(text: str) -> str:
        found = [choice for choice in choices if choice.lower() == text.strip().lower()]
        if not found:
            raise ValueError(f"is not one of {', '.join(choices)}: write one of them")
        return found[0]

    return parse


KAFKA_SETTINGS: Final = (
    ("kafka_security", _upper_or_lower(tuple(USED_BY)), "plaintext", False),
    ("kafka_authority_file", parse_path, None, False),
    ("kafka_certificate_file", parse_path, None, False),
    ("kafka_key_file", parse_path, None, False),
    ("kafka_sasl_mechanism", _upper_or_lower(MECHANISMS), "SCRAM-SHA-512", False),
    ("kafka_user", parse_user, None, False),
    ("kafka_password", parse_password, None, True),
    ("kafka_password_file", parse_path, None, False),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """How a connection to the organisation's Kafka is made; the embedded broker's needs none of it.

    Attributes:
        kafka_security: one of USED_BY.
        kafka_authority_file: PEM of the authorities that signed the brokers' certificates; None: the system's.
        kafka_certificate_file: PEM of our own certificate, for brokers that ask for one.
        kafka_key_file: PEM of its key, without a passphrase.
        kafka_sasl_mechanism: one of MECHANISMS.
        kafka_user: of SASL.
        kafka_password: of SASL; or
        kafka_password_file: the file that holds it.
    """

    kafka_security: str
    kafka_authority_file: Path | None
    kafka_certificate_file: Path | None
    kafka_key_file: Path | None
    kafka_sasl_mechanism: str
    kafka_user: str | None
    kafka_password: str | None = field(repr=False)
    kafka_password_file: Path | None


def broker_of(settings: "Settings", endpoints: "Endpoints") -> "BrokerAccess | None":
    """Kafka as commands reach it, set or embedded; None where none is set and none runs. Raises SettingsError."""
    from producers.broker_access import BrokerAccess

    if settings.kafka_bootstrap is not None or endpoints.kafka_bootstrap is None:
        return set_broker(settings)
    set_broker(settings)
    return BrokerAccess(endpoints.kafka_bootstrap)


def set_broker(settings: "Settings") -> "BrokerAccess | None":
    """The organisation's Kafka as the settings have it; None where none is set.

    Raises:
        SettingsError: settings that contradict one another or that nothing would use, a file that cannot be used, a
            password in jangbu.toml.
    """
    from producers.broker_access import BrokerAccess, UnusableCertificate

    _refuse_unused(settings)
    if settings.kafka_bootstrap is None:
        return None
    if settings.kafka_key_file is not None:
        check_nobody_else_reads(settings.kafka_key_file, _variable("kafka_key_file"), "key")
    access = BrokerAccess(
        bootstrap=settings.kafka_bootstrap,
        is_encrypted=settings.kafka_security.endswith("ssl"),
        authority_file=settings.kafka_authority_file,
        certificate_file=settings.kafka_certificate_file,
        key_file=settings.kafka_key_file,
        login=_login(settings) if settings.kafka_security.startswith("sasl") else None,
    )
    try:
        access.tls()
    except UnusableCertificate as error:
        names = [_variable(name) for name in TLS_FILES if _value(settings, name) is not None]
        raise SettingsError(f"{error}: correct {' or '.join(names)}") from error
    return access


def _refuse_unused(settings: "Settings") -> None:
    """A setting that nothing would use was meant to protect something: it is no time to go on without it."""
    security = settings.kafka_security
    given = [name for name in (*TLS_FILES, *LOGIN) if _value(settings, name) is not None]
    if settings.kafka_bootstrap is None:
        idle = given if security == "plaintext" else ["kafka_security"]
        remedy = "set JANGBU_KAFKA_BOOTSTRAP too, or take it away: the embedded broker is for this machine alone"
    else:
        idle = [name for name in given if name not in USED_BY[security]]
        remedy = f"set JANGBU_KAFKA_SECURITY to {'sasl_ssl' if set(idle) & set(LOGIN) else 'ssl'}, or take it away"
    if idle:
        raise SettingsError(f"{_variable(idle[0])} is set, and nothing would use it: {remedy}")
    if (settings.kafka_certificate_file is None) != (settings.kafka_key_file is None):
        there, missing = OWN_FILES if settings.kafka_key_file is None else reversed(OWN_FILES)
        raise SettingsError(f"{_variable(there)} is set and {_variable(missing)} is not: a certificate needs its key")


def _login(settings: "Settings") -> "Login":
    """Who we are to Kafka."""
    from producers.broker_access import Login, Mechanism

    if settings.kafka_security == "sasl_plaintext" and settings.kafka_sasl_mechanism == "PLAIN":
        raise SettingsError(
            "JANGBU_KAFKA_SASL_MECHANISM=PLAIN would send the password in clear over sasl_plaintext: set "
            "JANGBU_KAFKA_SECURITY to sasl_ssl, or the mechanism to SCRAM-SHA-512"
        )
    variable, file_variable = _variable("kafka_password"), _variable("kafka_password_file")
    password, file = settings.kafka_password, settings.kafka_password_file
    if settings.kafka_user is None or (password is None and file is None):
        missing = _variable("kafka_user") if settings.kafka_user is None else f"{variable} (or {file_variable})"
        raise SettingsError(f"JANGBU_KAFKA_SECURITY is {settings.kafka_security} and {missing} is not set: set it")
    if password is not None and file is not None:
        raise SettingsError(f"{variable} and {file_variable} are both set: keep the one that counts")
    if password is not None and not settings.origins["kafka_password"].startswith("environment"):
        raise SettingsError(
            f"kafka_password stands in {settings.origins['kafka_password']}, which is no place for a password: set "
            f"{variable}, or write it into a file of its own (mode 0600) and name that with kafka_password_file"
        )
    if password is None:
        password = read_secret(cast(Path, file), file_variable, "password", parse_password)
    return Login(settings.kafka_user, password, cast("Mechanism", settings.kafka_sasl_mechanism))


def _value(settings: "Settings", name: str) -> Any:
    return getattr(settings, name)


def _variable(name: str) -> str:
    return f"JANGBU_{name.upper()}"
