"""What is to be measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..affinity import check_processors
from ..errors import UsageError

__all__ = ["BenchPlan", "parse_frame", "parse_numbers"]


@dataclass(frozen=True)
class BenchPlan:
    """What is to be measured, every combination of form and thread count in as many processes as there are rounds.

    Attributes:
        bundle: An `.edge` file.
        forms: Inference forms; None stands for the bundle's own.
        threads: Thread counts of the interpreter, each at least 1.
        interpreter: Its name; chosen as for a bundle where None.
        image: An image file to classify; a computed frame where None.
        frame: Width and height of the computed frame, in pixels.
        runs: Classifications per combination; as many as fit into `seconds` where None.
        seconds: Time per combination where `runs` is None.
        warm_up: Classifications before, in every process; in no figure but the first inference.
        rounds: Processes per combination. They run in turn, so that a change of clock meets all combinations alike.
        affinity: Processors that may be used; those of this process where None.
        trace: A file for a trace of every measured classification; none where None.

    Raises:
        UsageError: A number is outside what it may be.
    """

    bundle: str
    forms: tuple[str | None, ...] = (None,)
    threads: tuple[int, ...] = (1,)
    interpreter: str | None = None
    image: str | None = None
    frame: tuple[int, int] = (640, 480)
    runs: int | None = None
    seconds: float = 3.0
    warm_up: int = 30
    rounds: int = 3
    affinity: tuple[int, ...] | None = None
    trace: str | None = None

    def __post_init__(self) -> None:
        least = {"runs": 1, "warm_up": 0, "rounds": 1}
        numbers = {"runs": 1 if self.runs is None else self.runs, "warm_up": self.warm_up, "rounds": self.rounds}
        for name, value in numbers.items():
            if value < least[name]:
                raise UsageError(f"{name} must be at least {least[name]}. Received: {value}. Measure more.")
        if not 0 < self.seconds <= 86_400:
            raise UsageError(f"seconds must be above 0, at most a day. Received: {self.seconds:g}. Measure for 3 s.")
        if not self.threads or min(self.threads) < 1:
            raise UsageError(f"threads must be at least 1. Received: {self.threads}. Small models are fastest with 1.")
        if min(self.frame) < 1:
            raise UsageError(f"A frame must have at least one pixel. Received: {self.frame}. Write 640x480.")
        if self.trace and len(self.forms) * len(self.threads) > 1:
            raise UsageError(
                "A trace is of one form and one thread count. "
                f"Received: {len(self.forms)} and {len(self.threads)}. Measure them one by one."
            )
        if self.affinity is not None:
            check_processors(self.affinity)


def parse_frame(text: str) -> tuple[int, int]:
    """Width and height in pixels from `640x480`.

    Raises:
        UsageError: It is something else.
    """
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text.strip())
    if not match:
        raise UsageError(f"A frame's size must be WIDTHxHEIGHT in pixels. Received: {text!r}. Write 640x480.")
    return int(match[1]), int(match[2])


def parse_numbers(text: str, what: str) -> tuple[int, ...]:
    """Whole numbers from `1,2,4`, without repetitions.

    Args:
        text: Numbers, commas between.
        what: The option, for an error.

    Raises:
        UsageError: It is something else.
    """
    if not re.fullmatch(r"\s*\d{1,4}\s*(,\s*\d{1,4}\s*)*", text):
        raise UsageError(f"{what} must be whole numbers with commas between. Received: {text!r}. Write 1,2,4.")
    return tuple(dict.fromkeys(map(int, text.split(","))))
