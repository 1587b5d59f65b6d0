"""Energy, where a board measures it: the INA3221 sensors on a Jetson's supply rails, as the kernel shows them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType

from .system import read_text

__all__ = ["Power", "PowerMeter", "PowerRail", "find_rails", "whole_board"]

_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
"""Rails that everything else is fed from; where there is none, a board takes what its rails take together."""
_KEPT = 36_000
"""Readings kept: an hour."""


@dataclass(frozen=True)
class PowerRail:
    """One rail with a sensor.

    Attributes:
        name: What the board calls it.
        files: One file of milliwatts, or two of millivolts and milliamperes.
    """

    name: str
    files: tuple[Path, ...]

    def watts(self) -> float | None:
        """What the rail takes now, W; None where the sensor does not answer."""
        try:
            numbers = [int(read_text(file)) for file in self.files]
        except ValueError:
            return None
        return numbers[0] * numbers[1] / 1e6 if len(numbers) == 2 else numbers[0] / 1e3


@dataclass(frozen=True)
class Power:
    """What a board took while it classified.

    Attributes:
        watts: Of the whole board on average, W.
        joules_per_run: Of the whole board per classification, J; what it takes when idle is included.
        rails_w: Of every rail on average, W.
    """

    watts: float
    joules_per_run: float
    rails_w: dict[str, float]


def find_rails(root: Path = Path("/")) -> tuple[PowerRail, ...]:
    """The rails that a board measures; none on a board without sensors.

    Args:
        root: The folder that holds `sys`.
    """
    rails = []
    for monitor in sorted(root.glob("sys/class/hwmon/hwmon*")):  # JetPack 5 and later
        if read_text(monitor / "name") == "ina3221":
            labels = {i: read_text(monitor / f"in{i}_label") for i in (1, 2, 3)}
            places = {i: (monitor / f"in{i}_input", monitor / f"curr{i}_input") for i in labels}
            rails += [PowerRail(label, places[i]) for i, label in labels.items() if label and places[i][1].exists()]
    for device in sorted(root.glob("sys/bus/i2c/drivers/ina3221x/*/iio:device*")):  # JetPack 4
        names = {i: read_text(device / f"rail_name_{i}") for i in (0, 1, 2)}
        rails += [PowerRail(name, (device / f"in_power{i}_input",)) for i, name in names.items() if name]
    return tuple(rails)


def whole_board(rails_w: dict[str, float]) -> float:
    """What the whole board takes, W, from what its rails take."""
    return next((rails_w[name] for name in _WHOLE_BOARD if name in rails_w), sum(rails_w.values()))


class PowerMeter:
    """Reads every rail ten times a second, in a thread of its own; a context manager.

    Args:
        rails: What `find_rails` found; without any, nothing is read.
        interval_s: Seconds between readings.
    """

    def __init__(self, rails: Sequence[PowerRail], interval_s: float = 0.1) -> None:
        self._rails, self._interval_s, self._ended = tuple(rails), interval_s, threading.Event()
        self._readings: deque[tuple[int, tuple[float, ...]]] = deque(maxlen=_KEPT)
        self._thread = threading.Thread(target=self._read, name="power meter", daemon=True)

    def power(self, spans_ns: Sequence[tuple[int, int]], runs: int) -> Power | None:
        """What the board took in some spans of time.

        Args:
            spans_ns: Begin and end of each, on the clock of `time.perf_counter_ns`.
            runs: Classifications in all of them together.

        Returns:
            None where there are fewer than two readings in a span.
        """
        joules = dict.fromkeys((rail.name for rail in self._rails), 0.0)
        seconds = sum(end - begin for begin, end in spans_ns) / 1e9
        readings = list(self._readings)
        for begin, end in spans_ns:
            inside = [watts for moment, watts in readings if begin <= moment <= end]
            if len(inside) < 2:
                return None
            for rail, column in zip(joules, zip(*inside, strict=True), strict=True):
                joules[rail] += sum(column) / len(column) * (end - begin) / 1e9
        if not joules or not seconds or not runs:
            return None
        rails_w = {rail: energy / seconds for rail, energy in joules.items()}
        watts = whole_board(rails_w)
        return Power(watts, watts * seconds / runs, rails_w)

    def __enter__(self) -> PowerMeter:
        if self._rails:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._rails:
            self._thread.join()

    def _read(self) -> None:
        while not self._ended.wait(self._interval_s):
            watts = [rail.watts() for rail in self._rails]
            known = tuple(value for value in watts if value is not None)
            if len(known) == len(watts):
                self._readings.append((perf_counter_ns(), known))
