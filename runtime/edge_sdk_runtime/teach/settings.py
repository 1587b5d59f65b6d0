"""How a class is learnt from a few examples: the numbers that could be others.

They are what `benchmarks/teaching_choice.py` found best for classes that stood in for those that a bundle will be taught.
"""

from __future__ import annotations

from typing import NamedTuple

from ..scatter import EQUAL

__all__ = ["SETTINGS", "Settings"]


class Settings(NamedTuple):
    """How a head grows, and what is taken for known afterwards.

    Attributes:
        units: Hidden units that every taught class brings with it.
        most_units: Hidden units of all classes that are taught at once.
        steps: Steps of Adam, each on all examples.
        rate: Its learning rate at the start; it falls to zero along a cosine.
        decay: Its weight decay.
        stress: How much more an example of a taught class weighs than one of another, once both are balanced.
        known: Share of a taught class's examples that are to be known when they are held out, 0 to 1. Held out of twenty, an
            example lies farther away than an image does from all twenty, so that more are known than this; to be sure of the
            farthest would let in much else.
        equal: The part of the scatter that is taken to be equal in all directions.
    """

    units: int = 4
    most_units: int = 32
    steps: int = 50
    rate: float = 0.3
    decay: float = 1.0
    stress: float = 2.0
    known: float = 0.7
    equal: float = EQUAL


SETTINGS = Settings()
"""What teaching uses."""
