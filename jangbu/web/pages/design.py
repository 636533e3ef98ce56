"""The page that shows what pages are made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from jangbu.web.charts import Step
from jangbu.web.rights import ANYONE
from jangbu.web.views import Ask, Document, Registered, View

TOKENS: Final = (
    ("--ground", "the page"),
    ("--surface", "cards, tables, fields"),
    ("--raised", "headings of tables, bars' ground"),
    ("--ink", "text"),
    ("--soft", "text that explains"),
    ("--rule", "lines between things"),
    ("--accent", "links and what to press"),
    ("--good", "in order, always with a sign"),
    ("--watch", "needs a look, always with a sign"),
    ("--bad", "not in order, always with a sign"),
    ("--s1 … --s8", "series of a chart, in their order"),
)


def read_design(_ask: Ask) -> Document:
    """Tokens and an example bridge."""
    steps = [Step(Decimal(100), is_total=True), Step(Decimal(12)), Step(Decimal(-5)), Step(Decimal(107), is_total=True)]
    return {"tokens": [list(pair) for pair in TOKENS], "steps": steps}


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/design", title="Design", rule=ANYONE, read=read_design, template="design.html",
         about="The parts that pages are made of."),
)  # fmt: skip
