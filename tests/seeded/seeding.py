"""Which month a seed makes: its shape, how many faults, and which."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.seeded.catalogue import SHAPES
from tests.seeded.months import SeededMonth, clean_month
from tests.seeded.planting import IN_ONE_GROUP, plant_faults, plant_in_one_group, rounded

if TYPE_CHECKING:
    from tests.seeded.shapes import Shape

CLEAN_EVERY = 10
LAST = "a page again"
"""Planted upon what the others have left."""


def seeded_month(seed: int, number: int) -> SeededMonth:
    """The `number`th month of a seed. Shapes take turns; of a shape's months some are clean, some have one fault, each
    class in its turn, some several in groups of their own, some several in one group."""
    random = Random(f"{seed}/{number}")
    shape = SHAPES[number % len(SHAPES)]
    turn = number // len(SHAPES)
    month = clean_month(random, shape, number)
    if turn % CLEAN_EVERY:
        _plant(month, random, shape, turn)
    rounded(month)
    return month


def _plant(month: SeededMonth, random: Random, shape: Shape, turn: int) -> None:
    single = shape.faults[(turn - turn // CLEAN_EVERY) % len(shape.faults)]
    if turn % 2 or single == "FX":
        plant_faults(month, random, [single])
    elif turn % 4 and shape.grain == "cell" and shape.tells_quantity:
        names = IN_ONE_GROUP[(turn // 4) % len(IN_ONE_GROUP)]
        if "DUPLICATE" not in names or "DUPLICATE" in shape.faults:
            plant_in_one_group(month, random, names)
    else:
        others = [name for name in shape.faults if name != "FX"]
        chosen = random.sample(others, min(len(others), random.randint(2, 5)))
        plant_faults(month, random, sorted(chosen, key=LAST.__eq__))
