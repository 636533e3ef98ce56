"""What can go wrong in front of a user: each class has its exit code (contract.md, section 4).

The message is one sentence: what, which value, what to do next. ``cli.main`` prints it and exits with the code.
"""

from typing import ClassVar


class JangbuError(Exception):
    """Anything unexpected that we can still say something about."""

    exit_code: ClassVar[int] = 1


class UsageError(JangbuError):
    """A wrong option, argument or combination of them."""

    exit_code = 2


class SettingsError(JangbuError):
    """A setting that cannot be, or a service that a setting names and that does not answer."""

    exit_code = 3


class NotFoundError(JangbuError):
    """What was asked for does not exist: a department, a period, a file."""

    exit_code = 4


class RefusedByStateError(JangbuError):
    """The state of the books forbids it: a closed period, an unbalanced entry, a second `up`."""

    exit_code = 5


class WorkLeftError(JangbuError):
    """Done as far as possible, and something is left for a person: open breaks, not caught up."""

    exit_code = 6


class LawViolatedError(JangbuError):
    """A law of the books does not hold."""

    exit_code = 7
