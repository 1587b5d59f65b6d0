"""One script per claim: `python -m benchmarks.NAME [--quick]`; `python -m benchmarks` runs them all."""
