"""How the text of a setting becomes its value. Pure; a ``ValueError`` says what is wrong and what to write instead.

The sentence continues "setting NAME = VALUE (from …) …".
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

DATABASE_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
CURRENCY = re.compile(r"[A-Z]{3}")
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
LABEL_CHARACTERS_MAX = 100
SOURCE_CHARACTERS_MAX = 200
ORGANISATION_CHARACTERS_MAX = 100
JOURNAL_COLUMNS = (
    "사용월", "부서코드", "부서", "세부사업", "통계목", "적요", "채권자", "공급가액", "부가세", "합계", "통화",
)  # fmt: skip
TOKEN_CHARACTERS_MIN = 16
PORT_MAX = 65535
DEPARTMENT_CHARACTERS_MAX = 384
# Hourly sums can be cut at a zone's midnight only where every offset is a whole number of hours. What matters is the
# time in which usage can lie, not the nineteenth century, in which hardly any zone passes.
OFFSET_YEARS = range(2020, 2046)
# Passwords in the user part of an address, and in a query (libpq takes both). Greedy up to the last @: a password
# may hold any sign, rightly escaped or not, and hiding too much harms nobody.
URL_PASSWORD = re.compile(r"(?P<head>://[^:@\s]*):\S*@")
QUERY_PASSWORD = re.compile(r"(?P<head>[?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)
HIDDEN = "***"


def parse_path(text: str) -> Path:
    """A path; ``~`` is the home directory."""
    if not text.strip() or "\0" in text:
        raise ValueError("is not a path: name a directory")
    return Path(text).expanduser()


def parse_database_url(text: str) -> str:
    """An address of PostgreSQL, written ``postgresql://…`` whatever spelling came in."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme not in DATABASE_SCHEMES:
        raise ValueError("is not an address of PostgreSQL: write postgresql://user:password@host:port/database")
    address = f"postgresql://{rest}"
    parts = urlsplit(address)
    _check_port(parts)
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise ValueError("names no database: write postgresql://user:password@host:port/database")
    return address


def parse_bootstrap(text: str) -> str:
    """One or more Kafka brokers, ``host:port`` separated by commas."""
    brokers = [part.strip() for part in text.split(",")]
    for broker in brokers:
        matched = HOST_AND_PORT.fullmatch(broker)
        if matched is None or not 1 <= int(matched["port"]) <= PORT_MAX:
            raise ValueError(f"is not a list of Kafka brokers ({broker!r}): write host:port[,host:port]")
    return ",".join(brokers)


def parse_host(text: str) -> str:
    """An address to listen on: an IPv4 or IPv6 address, or `localhost`."""
    name = "127.0.0.1" if text.strip() == "localhost" else text.strip().strip("[]")
    try:
        return str(ip_address(name))
    except ValueError:
        raise ValueError("is not an address of this machine: write 127.0.0.1, 0.0.0.0, ::1 or another IP") from None


def parse_timezone(text: str) -> str:
    """The name of a zone of the IANA database whose offsets are whole hours."""
    try:
        zone = ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            "is not a time zone of the IANA database: write a name such as Asia/Seoul "
            "(and install tzdata where the system has none)"
        ) from error
    broken = _broken_offset(zone)
    if broken is not None:
        hours = broken.total_seconds() / 3600
        raise ValueError(
            f"has an offset of {hours:+g} hours, and sums are kept by whole UTC hours: choose a zone with whole hours"
        )
    return text


def parse_currency(text: str) -> str:
    """A currency code of three capital letters (ISO 4217)."""
    if not CURRENCY.fullmatch(text):
        raise ValueError("is not a currency code of ISO 4217: write three capital letters such as KRW")
    return text


def parse_token(text: str) -> str:
    """A bearer token or a key: visible ASCII, long enough not to be guessed."""
    if len(text) < TOKEN_CHARACTERS_MIN or not all("!" <= sign <= "~" for sign in text):
        raise ValueError(
            f"is not a usable secret: write at least {TOKEN_CHARACTERS_MIN} visible ASCII characters without blanks"
        )
    return text


def parse_source(text: str) -> str:
    """The CloudEvents source of this gateway's events."""
    if not text.strip() or len(text) > SOURCE_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"is not a name of a gateway: write 1 to {SOURCE_CHARACTERS_MAX} printable characters")
    return text


def parse_http_url(text: str) -> str:
    """An address of HTTP, without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address of HTTP: write http://host:port or https://host")
    _check_port(parts)
    return text.rstrip("/")


def parse_topic(text: str) -> str:
    """A topic name that Kafka takes."""
    if not TOPIC.fullmatch(text) or text in (".", ".."):
        raise ValueError("is not a topic name of Kafka: write letters, digits, dot, dash, underscore (at most 249)")
    return text


def parse_field_name(text: str) -> str:
    """The name of a payload field, dots for nesting."""
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", text):
        raise ValueError("is not the name of a field: write one such as user_api_key_team_id")
    return text


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers between ``lowest`` and ``highest``, both included."""

    def parse(text: str) -> int:
        # int() would also take "1_000", blanks and other scripts' digits.
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"is not a whole number from {lowest} to {highest}: write one")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"is not known: write {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return parse


def parse_department(text: str) -> str:
    """A department's code."""
    if not text.strip() or text != text.strip() or len(text) > DEPARTMENT_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"is not a department's code: write 1 to {DEPARTMENT_CHARACTERS_MAX} printable characters")
    return text


def parse_organisation(text: str) -> str:
    """The organisation's name."""
    if not text.strip() or len(text) > ORGANISATION_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"is not a name: write 1 to {ORGANISATION_CHARACTERS_MAX} printable characters")
    return text.strip()


def parse_label(text: str) -> str:
    """A short name that people choose, such as a version."""
    if not text.strip() or len(text) > LABEL_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"is not a usable name: write 1 to {LABEL_CHARACTERS_MAX} printable characters")
    return text


def parse_journal_columns(text: str) -> tuple[str, ...]:
    """The columns of the local government's journal: some or all of the known ones, each once, with the total."""
    names = tuple(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in JOURNAL_COLUMNS]
    if unknown:
        raise ValueError(f"has a column unknown here ({unknown[0]!r}): choose among {', '.join(JOURNAL_COLUMNS)}")
    if len(set(names)) != len(names):
        raise ValueError("names a column twice: name each once")
    if "합계" not in names:
        raise ValueError("leaves out 합계, the amount that is paid: add it")
    return names


class Days(tuple[date, ...]):
    """Days, shown as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(day.isoformat() for day in self) or "none"


def parse_days(text: str) -> Days:
    """Days of the calendar, separated by commas, or `none`."""
    if text.strip() == "none":
        return Days()
    found = set()
    for part in text.split(","):
        try:
            day = date.fromisoformat(part.strip())
        except ValueError:
            day = None
        if day is None or day.isoformat() != part.strip():
            raise ValueError(f"has {part.strip()!r}, which is no day: write days such as 2026-05-01,2026-07-17")
        found.add(day)
    return Days(sorted(found))


def parse_fx_day(text: str) -> str:
    """The day whose rate holds for a month: ``last``, a day of the month, or one day."""
    if text == "last" or re.fullmatch(r"[1-9]|[12][0-9]|3[01]", text):
        return text
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError("is no day: write last, a day of the month from 1 to 31, or a day such as 2026-10-30")


def parse_share(text: str) -> Decimal:
    """A share from 0 to 1, at most 18 digits after the point."""
    if not re.fullmatch(r"0(\.[0-9]{1,18})?|1(\.0{1,18})?", text):
        raise ValueError("is not a share from 0 to 1: write 5 % as 0.05")
    return Decimal(text)


def redacted(text: str) -> str:
    """``text`` without the passwords that stand in addresses."""
    return QUERY_PASSWORD.sub(rf"\g<head>{HIDDEN}", URL_PASSWORD.sub(rf"\g<head>:{HIDDEN}@", text))


def sqlalchemy_url(database_url: str) -> str:
    """The same address as SQLAlchemy writes it for psycopg 3."""
    return "postgresql+psycopg://" + database_url.partition("://")[2]


def _broken_offset(zone: ZoneInfo) -> timedelta | None:
    """An offset of ``zone`` that is not a whole number of hours, if it has one."""
    for year in OFFSET_YEARS:
        for month in range(1, 13):
            offset = datetime(year, month, 1, tzinfo=UTC).astimezone(zone).utcoffset()
            if offset is not None and offset % timedelta(hours=1):
                return offset
    return None


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"has a wrong port: write a number from 1 to {PORT_MAX}") from error
    if port == 0:
        raise ValueError(f"has a wrong port: write a number from 1 to {PORT_MAX}")
