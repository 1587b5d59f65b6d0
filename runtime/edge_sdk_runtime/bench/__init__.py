"""`edge-run bench`: how fast a bundle is on this very board, and whether the figures mean anything."""

from .assertions import Assertion, Finding, check, parse_assertion
from .compare import Comparison, compare
from .plan import BenchPlan
from .report import BenchReport, Measurement
from .run import bench

__all__ = [
    "Assertion",
    "BenchPlan",
    "BenchReport",
    "Comparison",
    "Finding",
    "Measurement",
    "bench",
    "check",
    "compare",
    "parse_assertion",
]
