"""Charts made on the server as SVG without a word in them: shapes only, their colours from the style sheet.

Words and figures stand beside a chart as HTML, in its table, where they stay legible on a phone and are read aloud; the
ends of its scale too. A chart stretches to its place; strokes keep their width. Positions are rounded for drawing only
and come from exact decimals: a chart holds no amount.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from jangbu.web.figures import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 1000
HEIGHT: Final = 300
PLACES_MIN: Final = 8
"""Fewer columns are drawn as wide as so many would be, from the left: one column is no wall."""
_STEPS: Final = tuple(map(Decimal, ("1", "1.5", "2", "3", "4", "5", "6", "8", "10")))
_WHOLE: Final = 10
SERIES_MAX: Final = 8
"""Colours there are; what is more goes together as the last."""


class Step(NamedTuple):
    """A bar of a waterfall. `is_total`: from zero; else added to what stands before. None: unknown, no bar."""

    amount: Decimal | None
    is_total: bool = False


def number(value: object) -> Decimal:
    """A figure of a document for drawing; unknown is drawn as nothing."""
    return Decimal(0) if value is None else Decimal(str(value))


def columns(name: str, stacks: Sequence[Sequence[object]], *, marks: Sequence[object] = ()) -> Markup:
    """Stacked columns, one stack a place, each part a series; `marks` are levels drawn across (a budget).

    Negative parts hang below the line of zero.
    """
    drawn = [[number(part) for part in stack] for stack in stacks]
    levels = [number(mark) for mark in marks if mark is not None]
    tops = [sum((part for part in stack if part > 0), Decimal(0)) for stack in drawn]
    bottoms = [sum((part for part in stack if part < 0), Decimal(0)) for stack in drawn]
    top, bottom = _ends(max([*tops, *levels, Decimal(0)]), min([*bottoms, Decimal(0)]))
    span = (top - bottom) or Decimal(1)
    width = Decimal(WIDTH) / max(PLACES_MIN, len(drawn))
    shapes = []
    for place, stack in enumerate(drawn):
        above = below = Decimal(0)
        for series, part in enumerate(stack):
            if not part:
                continue
            start, end = (above, above + part) if part > 0 else (below + part, below)
            above, below = (end, below) if part > 0 else (above, start)
            shapes.append(
                f'<rect class="series-{series % SERIES_MAX + 1}" x="{_at(width * place + width / 10)}" '
                f'y="{_at((top - end) / span * HEIGHT)}" width="{_at(width * 8 / 10)}" '
                f'height="{_at((end - start) / span * HEIGHT)}"/>'
            )
    shapes += [_across("mark", (top - level) / span * HEIGHT) for level in levels]
    shapes.append(_across("zero", top / span * HEIGHT))
    return _plot(_svg(name, "chart", [*_grid(), *shapes]), top, bottom)


def waterfall(name: str, steps: Sequence[Step]) -> Markup:
    """From one total over what is added and taken to another total."""
    spans: list[tuple[Decimal, Decimal, str] | None] = []
    level = Decimal(0)
    for step in steps:
        if step.amount is None:
            spans.append(None)
            continue
        start = Decimal(0) if step.is_total else level
        level = start + step.amount
        kind = "total" if step.is_total else ("more" if step.amount >= 0 else "less")
        spans.append((start, level, kind))
    # A bridge's totals dwarf its steps: the axis begins a little below the lowest level that a step touches.
    touched = [value for one in spans if one is not None for value in (one[1], one[0]) if one[2] != "total" or value]
    top, low = max([*touched, Decimal(0)]), min([*touched, top_or_zero(touched)])
    base = low - (top - low) / 5 if low > 0 else low
    span = (top - base) or Decimal(1)
    width = Decimal(WIDTH) / max(PLACES_MIN, len(spans))
    shapes = []
    for place, one in enumerate(spans):
        if one is None:
            continue
        start, end = max(min(one[0], one[1]), base), max(one[0], one[1])
        height = max((end - start) / span * HEIGHT, Decimal("1.5"))
        shapes.append(
            f'<rect class="{one[2]}" x="{_at(width * place + width / 10)}" y="{_at((top - end) / span * HEIGHT)}" '
            f'width="{_at(width * 8 / 10)}" height="{_at(height)}"/>'
        )
    return _plot(_svg(name, "chart waterfall", [*_grid(), *shapes]), top, base)


def top_or_zero(values: Sequence[Decimal]) -> Decimal:
    """The largest of values, 0 of none."""
    return max(values, default=Decimal(0))


def line(
    name: str, values: Sequence[object], *, low: Sequence[object] = (), high: Sequence[object] = (),
    marks: Sequence[object] = (),
) -> Markup:  # fmt: skip
    """A line over places; where a value is None it stops. `low` and `high` give the range around it."""
    everything = [number(one) for one in (*values, *low, *high, *marks) if one is not None]
    top, bottom = _ends(max([*everything, Decimal(0)]), min([*everything, Decimal(0)]))
    span = (top - bottom) or Decimal(1)
    step = Decimal(WIDTH) / max(1, len(values) - 1)

    def points(series: Sequence[object]) -> list[str]:
        return [
            f"{_at(step * place)},{_at((top - number(one)) / span * HEIGHT)}"
            for place, one in enumerate(series)
            if one is not None
        ]

    shapes = []
    if low and high:
        shapes.append(f'<polygon class="range" points="{" ".join([*points(high), *reversed(points(low))])}"/>')
    shapes.append(f'<polyline class="line" points="{" ".join(points(values))}"/>')
    shapes += [_across("mark", (top - number(mark)) / span * HEIGHT) for mark in marks if mark is not None]
    shapes.append(_across("zero", top / span * HEIGHT))
    return _plot(_svg(name, "chart", [*_grid(), *shapes]), top, bottom)


def bar(name: str, value: object, limit: object, projected: object = None, marks: Sequence[object] = (), *,
        is_limit: bool = True) -> Markup:  # fmt: skip
    """How much of a limit is used, and where it is going; `marks` are shares of the limit (thresholds). A share of
    something that is no limit (`is_limit`) is neither near to it nor over."""
    whole = number(limit)
    if whole <= 0:
        return _svg(name, "bar", [])
    used, going = number(value) / whole, number(projected) / whole
    scale = max(Decimal(1), used, going)
    kind = "over" if used >= 1 else ("near" if used >= Decimal("0.8") or going >= 1 else "within")
    kind = kind if is_limit else "within"
    shapes = [f'<rect class="ground" x="0" y="0" width="{_at(WIDTH / scale)}" height="{HEIGHT}"/>']
    if projected is not None and going > used:
        shapes.append(f'<rect class="going" x="0" y="0" width="{_at(going / scale * WIDTH)}" height="{HEIGHT}"/>')
    shapes.append(f'<rect class="{kind}" x="0" y="0" width="{_at(used / scale * WIDTH)}" height="{HEIGHT}"/>')
    for share in (*map(number, marks), *([Decimal(1)] if is_limit else [])):
        place = _at(min(share / scale, Decimal(1)) * WIDTH)
        shapes.append(f'<line class="mark" x1="{place}" x2="{place}" y1="0" y2="{HEIGHT}"/>')
    return _svg(name, "bar", shapes)


def _ends(top: Decimal, bottom: Decimal) -> tuple[Decimal, Decimal]:
    """The scale's ends: round figures a little outside of what is drawn."""
    return _round_up(top), -_round_up(-bottom)


def _round_up(value: Decimal) -> Decimal:
    """The next 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    if value <= 0:
        return Decimal(0)
    power = Decimal(1).scaleb(value.adjusted())
    return next(step * power for step in _STEPS if step * power >= value)


def _grid() -> list[str]:
    """Lines at the quarters."""
    return [_across("grid", Decimal(HEIGHT * quarter) / 4) for quarter in (1, 2, 3)]


def _plot(svg: Markup, top: Decimal, bottom: Decimal) -> Markup:
    """A chart with the figures of its scale: at the top, in the middle, at the bottom."""
    ticks = [grouped((one.quantize(Decimal(1)) if abs(one) >= _WHOLE else one).normalize() + 0)
             for one in (top, (top + bottom) / 2, bottom)]  # fmt: skip
    labels = Markup("").join(Markup("<span>{}</span>").format(tick) for tick in ticks)
    return Markup('<div class="plot"><div class="ticks" aria-hidden="true">{}</div>{}</div>').format(labels, svg)


def _across(kind: str, height: Decimal) -> str:
    place = _at(height)
    return f'<line class="{kind}" x1="0" x2="{WIDTH}" y1="{place}" y2="{place}"/>'


def _at(value: Decimal | int) -> str:
    """A place of the drawing, to a tenth of a unit."""
    return format(Decimal(value).quantize(Decimal("0.1")), "f")


def _svg(name: str, kind: str, shapes: Sequence[str]) -> Markup:
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">').format(
        kind, WIDTH, HEIGHT, name
    )
    return head + Markup("".join(shapes)) + Markup("</svg>")  # noqa: S704 - numbers and words of this module alone
