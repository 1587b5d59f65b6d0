"""What a pass has to get a network down to, as shares of what came in; plain data that needs no Keras."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .errors import RecipeError

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """Limits that a pass has to meet, all of those that are given.

    Attributes:
        parameters: Most weights that remain, as a share of those before the pass, above 0 to 1.
        macs: Most multiply-accumulates that remain, likewise.
        latency: Longest median time of the float32 .tflite on the interpreter at hand, likewise.
        accuracy_drop: Most accuracy lost on the validation images before recovery, 0.01 being one point; 0 to below 1.

    Raises:
        RecipeError: Nothing is limited, or a limit is outside what it may be.
    """

    parameters: float | None = None
    macs: float | None = None
    latency: float | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        limits = dataclasses.asdict(self)
        if all(limit is None for limit in limits.values()):
            raise RecipeError(
                f"A budget must limit at least one of {', '.join(limits)}. Received: none. Write budget = {{ macs = 0.5 }}."
            )
        for name in ("parameters", "macs", "latency"):
            share = limits[name]
            if share is not None and not 0 < share <= 1:
                raise RecipeError(
                    f"{name} in a budget must be above 0 and at most 1, a share of what came in. Received: {share}. Try 0.5."
                )
        if self.accuracy_drop is not None and not 0 <= self.accuracy_drop < 1:
            raise RecipeError(
                f"accuracy_drop must be at least 0 and below 1. Received: {self.accuracy_drop}. Write 0.01 for one point."
            )
