"""Settings of the work list: how much one person may write off alone, and whose tokens count as persons."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from jangbu.errors import SettingsError
from jangbu.settings_values import parse_path, parse_token

OTHERS_MAY: Final = 0o077
_LINE = re.compile(r"([^\s:#]{1,64})\s+([0-9a-f]{64})")


def parse_limit(text: str) -> Decimal:
    """An amount of the organisation's currency, 0 or more."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("is no amount: write a number such as 100000") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("is no amount from 0: write a number such as 100000; 0 asks two persons for all of them")
    return amount


BREAK_SETTINGS: Final = (
    ("writeoff_limit", parse_limit, "100000", False),
    ("approvers_file", parse_path, None, False),
    ("approver_token", parse_token, None, True),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class BreakSettings:
    """The settings of this module.

    Attributes:
        writeoff_limit: of the organisation's currency; more than this needs a second person.
        approvers_file: whose tokens are whose: lines of a name and a token's SHA-256.
        approver_token: the token of who is acting; None: the operating-system user acts.
    """

    writeoff_limit: Decimal
    approvers_file: Path | None
    approver_token: str | None = field(repr=False)


def person_acting(settings: BreakSettings) -> str | None:
    """`token:NAME` of whose token is set, None where none is. Raises SettingsError where nobody has that token."""
    if settings.approver_token is None:
        return None
    if settings.approvers_file is None:
        raise SettingsError("JANGBU_APPROVER_TOKEN is set and JANGBU_APPROVERS_FILE is not: name the file of persons")
    given = hashlib.sha256(settings.approver_token.encode()).hexdigest()
    for name, digest in read_approvers(settings.approvers_file).items():
        if hmac.compare_digest(given, digest):
            return f"token:{name}"
    raise SettingsError(f"the token of JANGBU_APPROVER_TOKEN is nobody's in {settings.approvers_file}: ask for yours")


def read_approvers(file: Path) -> dict[str, str]:
    """Names and the SHA-256 of their tokens. Raises SettingsError naming the line that is wrong."""
    try:
        if file.stat().st_mode & OTHERS_MAY & 0o022:
            raise SettingsError(f"{file} can be written by others: `chmod go-w` it")
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file of persons {file} cannot be read ({error}): correct it") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        read = _LINE.fullmatch(line.strip())
        if read is None or read[1] in found or read[2] in found.values():
            raise SettingsError(f"{file}, line {number}: write a name and the SHA-256 of a token, each once")
        found[read[1]] = read[2]
    return found
