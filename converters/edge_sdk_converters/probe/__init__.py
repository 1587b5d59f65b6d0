"""What a release of an interpreter can really do, asked with tiny models: this makes the data that the gate judges by.

`python -m edge_sdk_converters.probe` asks installed or downloaded releases and writes `edge_sdk_runtime/releases.json`.
"""

from .ask import Answers, Environment, ask, run_models
from .kernels import KernelQuestion, kernel_questions
from .table import release_table

__all__ = ["Answers", "Environment", "KernelQuestion", "ask", "kernel_questions", "release_table", "run_models"]
