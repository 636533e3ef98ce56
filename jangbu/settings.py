"""Settings: flags > environment ``JANGBU_*`` > ``jangbu.toml`` (or ``--config FILE``) > defaults.

Each value knows where it came from, so that ``doctor`` can say it. The standard library is enough here: a gateway's
process reads its settings with nothing else installed. Source of the names: contract.md, section 2.
"""

import difflib
import os
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jangbu import settings_values as values
from jangbu.errors import SettingsError
from jangbu.settings_alerts import ALERT_SETTINGS, AlertSettings
from jangbu.settings_breaks import BREAK_SETTINGS, BreakSettings
from jangbu.settings_gateway import GATEWAY_SETTINGS, QuotaSettings
from jangbu.settings_kafka import KAFKA_SETTINGS, KafkaSettings
from jangbu.settings_sign_in import SIGN_IN_SETTINGS, SignInSettings, sign_in_warnings
from jangbu.settings_vendors import VENDOR_SETTINGS, VendorSettings

PREFIX: Final = "JANGBU_"
CONFIG_NAME: Final = "jangbu.toml"
ROLES: Final = ("worker", "billing", "reader")
DEFAULT_ORIGIN: Final = "default"
OWNER_ORIGIN: Final = "default: the owner's"
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class Settings(AlertSettings, BreakSettings, KafkaSettings, SignInSettings, QuotaSettings, VendorSettings):
    """Every setting, checked. Times are in the unit that the name ends with.

    Attributes:
        data_dir: absolute; holds the outbox, the token and the embedded services.
        database_url: the owner's; None: embedded PostgreSQL in ``data_dir``. The three roles' default to it.
        kafka_bootstrap: ``host:port[,host:port…]``; None: embedded broker.
        timezone: name of the organisation's zone; its offsets are whole hours.
        token: bearer token of HTTP; None: in ``data_dir/token`` (see ``resolve_token``).
        source: name of this gateway in events; None: not told.
        url: where a gateway posts if it has no way to Kafka.
        http_host: the address that ``serve`` listens on.
        tokens_file: tokens that speak for one source each; None: ``data_dir/tokens`` where it exists.
        http_body_bytes_max: of one request, before and after its compression is undone.
        http_body_seconds_max: how long a body may take to come.
        http_batch_events_max: events of one request.
        http_events_per_second: of one token, on average.
        max_event_ahead_seconds: an event may be this much later than its Kafka record.
        max_event_back_days: and this much earlier.
        retention_ms: of the topic; -1 keeps everything.
        gateway_department_from: the payload field that names the department.
        gateway_queue_events_max: events that may wait in a proxy's memory for its outbox.
        gateway_on_bad_settings: what a proxy does at its start when it cannot meter: ``fail`` or ``continue``.
        rounding_step: smallest units of the currency (won) that statements are rounded to, 1 or 10.
        rounding_rest_to: the department that takes a step left over; None: the largest remainder.
        fx_policy: which day's rate converts what the vendor register gives no policy for.
        fx_day: the day of ``month_fixed``: ``last``, a day of the month, or one day.
        unattributed_limit: share of a month's cost that may be unattributed at its close.
        organisation: the organisation's name, as statements and exports show it; None: not told.
        journal_columns: columns of the spending resolution's lines, in their order.
        days_off: days without work beside the public holidays that are known, for forecasts.
        people: how reads show who used something: ``named`` or ``pseudonyms``.
        pseudonym_key: of the pseudonyms; None: in ``data_dir/pseudonym-key`` (see ``resolve_pseudonym_key``).
        pledge_version: the version of the pledge that counts; None: any.
        pledge_valid_days: how long a signature without an end of its own holds; None: it stays.
        origins: setting name -> where its value came from.
    """

    data_dir: Path
    database_url: str | None = field(repr=False)
    database_url_worker: str | None = field(repr=False)
    database_url_billing: str | None = field(repr=False)
    database_url_reader: str | None = field(repr=False)
    kafka_bootstrap: str | None
    timezone: str
    currency: str
    port: int
    token: str | None = field(repr=False)
    source: str | None
    url: str | None
    http_host: str
    tokens_file: Path | None
    http_body_bytes_max: int
    http_body_seconds_max: int
    http_batch_events_max: int
    http_events_per_second: int
    topic: str
    partitions: int
    retention_ms: int
    max_event_ahead_seconds: int
    max_event_back_days: int
    gateway_department_from: str
    gateway_queue_events_max: int
    gateway_on_bad_settings: str
    rounding_step: str
    rounding_rest_to: str | None
    fx_policy: str
    fx_day: str
    unattributed_limit: Decimal
    organisation: str | None
    journal_columns: tuple[str, ...]
    days_off: values.Days
    people: str
    pseudonym_key: str | None = field(repr=False)
    pledge_version: str | None
    pledge_valid_days: int | None
    origins: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def run_directory(self) -> Path:
        """Where running services are written down (mode 0700)."""
        return self.data_dir / "run"

    @property
    def postgres_directory(self) -> Path:
        """The embedded cluster."""
        return self.data_dir / "postgres"

    @property
    def token_file(self) -> Path:
        """The generated token (mode 0600)."""
        return self.data_dir / "token"

    @property
    def pseudonym_key_file(self) -> Path:
        """The generated key of pseudonyms (mode 0600)."""
        return self.data_dir / "pseudonym-key"

    @property
    def embeds_postgres(self) -> bool:
        """Whether PostgreSQL is ours to start."""
        return self.database_url is None

    @property
    def embeds_kafka(self) -> bool:
        """Whether the broker is ours to start."""
        return self.kafka_bootstrap is None


@dataclass(frozen=True)
class Spec:
    """One setting: its name, how a text becomes its value, its default as text, whether it is secret."""

    name: str
    parse: Callable[[str], Any]
    default: str | None = None
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its command-line flag."""
        return "--" + self.name.replace("_", "-")


SPECS: Final = (
    Spec("data_dir", values.parse_path, ".jangbu"),
    Spec("database_url", values.parse_database_url),
    Spec("database_url_worker", values.parse_database_url),
    Spec("database_url_billing", values.parse_database_url),
    Spec("database_url_reader", values.parse_database_url),
    Spec("kafka_bootstrap", values.parse_bootstrap),
    Spec("timezone", values.parse_timezone, "Asia/Seoul"),
    Spec("currency", values.parse_currency, "KRW"),
    Spec("port", values.whole_number(1, 65535), "8080"),
    Spec("token", values.parse_token, secret=True),
    Spec("source", values.parse_source),
    Spec("url", values.parse_http_url),
    Spec("http_host", values.parse_host, "127.0.0.1"),
    Spec("tokens_file", values.parse_path),
    Spec("http_body_bytes_max", values.whole_number(1_024, 256 * 1024 * 1024), "16777216"),
    Spec("http_body_seconds_max", values.whole_number(1, 3_600), "30"),
    Spec("http_batch_events_max", values.whole_number(1, 100_000), "10000"),
    Spec("http_events_per_second", values.whole_number(1, 10_000_000), "100000"),
    Spec("topic", values.parse_topic, "usage.events"),
    Spec("partitions", values.whole_number(1, 10_000), "8"),
    Spec("retention_ms", values.whole_number(-1, 2**63 - 1), "-1"),
    Spec("max_event_ahead_seconds", values.whole_number(0, 366 * 86_400), "3600"),
    Spec("max_event_back_days", values.whole_number(1, 36_600), "400"),
    Spec("gateway_department_from", values.parse_field_name, "user_api_key_team_id"),
    Spec("gateway_queue_events_max", values.whole_number(1, 10_000_000), "100000"),
    Spec("gateway_on_bad_settings", values.one_of("fail", "continue"), "fail"),
    Spec("rounding_step", values.one_of("1", "10"), "1"),
    Spec("rounding_rest_to", values.parse_department),
    Spec("fx_policy", values.one_of("usage_day", "month_fixed", "invoice"), "usage_day"),
    Spec("fx_day", values.parse_fx_day, "last"),
    Spec("unattributed_limit", values.parse_share, "0.01"),
    Spec("organisation", values.parse_organisation),
    Spec("journal_columns", values.parse_journal_columns, "부서,세부사업,통계목,적요,채권자,공급가액,부가세,합계"),
    Spec("days_off", values.parse_days, "none"),
    Spec("people", values.one_of("named", "pseudonyms"), "named"),
    Spec("pseudonym_key", values.parse_token, secret=True),
    Spec("pledge_version", values.parse_label),
    Spec("pledge_valid_days", values.whole_number(1, 36_600)),
    *(Spec(*entry) for entry in (*ALERT_SETTINGS, *BREAK_SETTINGS, *GATEWAY_SETTINGS, *VENDOR_SETTINGS)),
    *(Spec(*entry) for entry in (*SIGN_IN_SETTINGS, *KAFKA_SETTINGS)),
)
BY_NAME: Final = MappingProxyType({spec.name: spec for spec in SPECS})
# Variables that start like ours and are no settings: the file's name, a trace on errors.
OTHER_VARIABLES: Final = frozenset({f"{PREFIX}CONFIG", f"{PREFIX}TRACE"})


def load(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    config: Path | None = None,
) -> Settings:
    """Resolve and check every setting.

    Args:
        flags: by setting name; None means not given.
        environ: default ``os.environ``. An empty variable counts as unset.
        cwd: where ``jangbu.toml`` is looked for and relative paths start; default the working directory.
        config: a file that must exist instead of ``jangbu.toml``; also ``JANGBU_CONFIG``.

    Raises:
        SettingsError: naming the setting, its value, where it came from and what to do.
    """
    given_flags = {name: value for name, value in (flags or {}).items() if value is not None}
    given = os.environ if environ is None else environ
    start = (cwd or Path.cwd()).absolute()
    file = _config_file(given, start, config)
    table = {} if file is None else _read_file(file)
    resolved: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for spec in SPECS:
        text, origin, base = spec.default, DEFAULT_ORIGIN, start
        if spec.name in given_flags:
            text, origin = given_flags[spec.name], f"flag {spec.flag}"
        elif given.get(spec.variable):
            text, origin = given[spec.variable], f"environment {spec.variable}"
        elif file is not None and spec.name in table:
            text, origin, base = table[spec.name], _file_origin(file, start), file.parent
        resolved[spec.name] = _parse(spec, text, origin, base)
        origins[spec.name] = origin
    for role in ROLES:
        name = f"database_url_{role}"
        if resolved[name] is None and resolved["database_url"] is not None:
            resolved[name] = resolved["database_url"]
            origins[name] = OWNER_ORIGIN
    return Settings(**resolved, origins=MappingProxyType(origins))


def explain(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value to show, origin) of every setting; passwords and tokens are not shown."""
    shown = []
    for spec in SPECS:
        value = getattr(settings, spec.name)
        if value is None:
            text = _unset_meaning(spec.name, settings)
        elif spec.secret:
            text = "(set, not shown)"
        else:
            text = values.redacted(str(value))
        shown.append((spec.name, text, settings.origins[spec.name]))
    return shown


def warnings_of(settings: Settings, environ: Mapping[str, str] | None = None) -> list[str]:
    """What ``doctor`` warns about: sentences, each with what to do."""
    given = os.environ if environ is None else environ
    told = [
        f"JANGBU_DATABASE_URL_{role.upper()} is not set: what works as {role} has the owner's rights; "
        f"make a login in role jangbu_{role} and set it"
        for role in ROLES
        if settings.origins[f"database_url_{role}"] == OWNER_ORIGIN
    ]
    told += [
        f"{variable} is no setting of jangbu and is ignored{_nearest(variable, _variables())}"
        for variable in unknown_variables(given)
    ]
    return told + sign_in_warnings(settings, settings.http_host)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Environment variables that start with ``JANGBU_`` and that nothing reads, sorted."""
    known = {*_variables(), *OTHER_VARIABLES}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def resolve_token(settings: Settings) -> str:
    """The HTTP token: the setting, else the content of ``data_dir/token``, made (mode 0600) when missing.

    Raises:
        SettingsError: the file exists and is empty or cannot be read.
    """
    return settings.token or _kept_secret(settings.token_file, "the token file", "JANGBU_TOKEN")


def resolve_pseudonym_key(settings: Settings) -> str:
    """The key of pseudonyms: the setting, else the content of ``data_dir/pseudonym-key``, made when missing.

    Raises:
        SettingsError: the file exists and is empty or cannot be read.
    """
    kept = settings.pseudonym_key_file
    return settings.pseudonym_key or _kept_secret(kept, "the key of pseudonyms", "JANGBU_PSEUDONYM_KEY")


def _kept_secret(file: Path, what: str, variable: str) -> str:
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _create_secret(file)
        secret = file.read_text(encoding="ascii").strip()
        return str(values.parse_token(secret))
    except (OSError, ValueError) as error:
        # A UnicodeDecodeError shows the bytes that it met, and they are the secret's.
        why = "it holds other signs than ASCII" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SettingsError(
            f"{what} {file} cannot be used ({why}): delete it to have a new one made, or set {variable}"
        ) from None


def _create_secret(file: Path) -> None:
    """Write a secret beside and link it into place: of two processes one wins and both read the same."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _config_file(environ: Mapping[str, str], start: Path, config: Path | None) -> Path | None:
    """The file to read: the named one must exist, the default one may."""
    named = config or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    if named is None:
        default = start / CONFIG_NAME
        return default if default.is_file() else None
    file = start / named
    if not file.is_file():
        raise SettingsError(f"the configuration file {named} does not exist: name an existing one with --config")
    return file


def _file_origin(file: Path, start: Path) -> str:
    return file.name if file.parent == start else str(file)


def _read_file(file: Path) -> dict[str, str]:
    """Settings of a TOML file as texts by name; a table's keys are joined to its name (``[gateway]``)."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} is not readable as TOML ({error}): correct it there") from error
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{inner}": entry for inner, entry in value.items()}
        else:
            flat[key] = value
    for name, value in flat.items():
        if name not in BY_NAME:
            raise SettingsError(
                f"{file} has a setting {name!r} that jangbu does not know{_nearest(name, list(BY_NAME))}; "
                "correct or remove it"
            )
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise SettingsError(f"{file}: {name} = {value!r} is neither a text nor a whole number: write one")
    return {name: str(value) for name, value in flat.items()}


def _parse(spec: Spec, text: str | None, origin: str, base: Path) -> Any:
    """The checked value of one setting."""
    if text is None:
        return None
    try:
        value = spec.parse(text)
    except ValueError as error:
        shown = "(not shown)" if spec.secret else repr(values.redacted(text))
        raise SettingsError(f"setting {spec.name} = {shown} (from {origin}) {error}") from None
    return (base / value).absolute() if isinstance(value, Path) else value


def _unset_meaning(name: str, settings: Settings) -> str:
    """What stands where nothing is set."""
    if name.startswith("database_url"):
        return f"(embedded PostgreSQL in {settings.postgres_directory})"
    if name == "kafka_bootstrap":
        return "(embedded broker, in memory)"
    if name == "token":
        return f"(in {settings.token_file})"
    if name == "pseudonym_key" and settings.people == "pseudonyms":
        return f"(in {settings.pseudonym_key_file})"
    return "(not set)"


def _variables() -> list[str]:
    return [spec.variable for spec in SPECS]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
