"""Which language a person reads: the one asked for, else the locale's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jangbu.demo.messages import language_of

if TYPE_CHECKING:
    from billing.outputs.texts import Language


def chosen(asked: Language | None) -> Language:
    """The language of what is made."""
    return asked or language_of(os.environ)
