"""How sparsity rises during training: fast while there is much to spare, ever slower towards the end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PolynomialSchedule"]


@dataclass(frozen=True)
class PolynomialSchedule:
    """The cubic schedule of Zhu and Gupta, "To prune, or not to prune" (2017).

    s(t) = s_f + (s_i - s_f) · (1 - (t - t₀) / (n·Δt))³ at the steps t₀, t₀ + Δt, …, t₀ + n·Δt.

    Attributes:
        initial: s_i, the share of zeros at the beginning.
        final: s_f, the share of zeros at the end.
        begin: t₀, optimisation steps before the first zeros.
        frequency: Δt, steps from one update to the next, at least 1.
        updates: n, how many updates follow the first, at least 1.
    """

    initial: float
    final: float
    begin: int
    frequency: int
    updates: int

    @property
    def end(self) -> int:
        """The step from which the sparsity is final: t₀ + n·Δt."""
        return self.begin + self.updates * self.frequency

    def due(self, step: int) -> bool:
        """Whether weights go after that many optimisation steps."""
        return self.begin <= step <= self.end and (step - self.begin) % self.frequency == 0

    def at(self, step: int) -> float:
        """Share of zeros after that many optimisation steps; 0 before the schedule begins."""
        if step < self.begin:
            return 0.0
        if step >= self.end:
            return self.final  # exactly, whatever the arithmetic rounds to
        left = 1 - (step - self.begin) / (self.updates * self.frequency)
        return self.final + (self.initial - self.final) * left**3
