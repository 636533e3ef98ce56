"""What billing refuses. Each error is a sentence that names what, which value and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


SHOWN_CHARACTERS_MAX = 200
"""Of a name or a value in an error."""


class BillingError(ValueError):
    """Something that billing cannot do as asked; the message is a full sentence for the person who asked."""


class StateRefused(BillingError):
    """What stands against something is the state of the books, not a wrong file or word (exit 5 of a command)."""


@dataclass(frozen=True, slots=True)
class CellProblem:
    """One thing wrong in a file. `line` counts from 1, the header included; `column` is empty for a whole line."""

    file: str
    line: int
    column: str
    value: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.shown_file}, line {self.line}" + (f", column {self.shown_column}" if self.column else "")
        return f"{place}: {self.shown_value}: {self.remedy}"

    @property
    def shown_file(self) -> str:
        """The file's name as an error shows it."""
        return _named(self.file)

    @property
    def shown_column(self) -> str:
        """The column's name as an error shows it."""
        return _named(self.column)

    @property
    def shown_value(self) -> str:
        """The value, quoted and cut."""
        return repr(_cut(self.value))


def _named(name: str) -> str:
    """A name out of a stranger's file as it is, or escaped where it could steer a terminal; never a long one."""
    return _cut(name) if name.isprintable() else repr(_cut(name))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


class FileRefused(BillingError):
    """A file that was refused whole: nothing of it was taken over. `problems` lists everything that is wrong."""

    def __init__(self, problems: Sequence[CellProblem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"the file was refused whole, nothing was imported ({count} problem{'s' if count > 1 else ''}):"
        super().__init__(
            "\n".join(
                [head, *(f"  {problem}" for problem in self.problems[:20])]
                + ([f"  and {count - 20} more"] if count > 20 else [])
            )
        )
