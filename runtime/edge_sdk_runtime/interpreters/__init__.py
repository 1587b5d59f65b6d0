"""Interpreters as plugs: LiteRT first, tflite-runtime where that is what the device has, a fake for tests."""

from .base import Interpreter, InterpreterPlug, TensorInfo
from .select import ENVIRONMENT_VARIABLE, available_interpreters, choose_interpreter, interpreter_for

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "Interpreter",
    "InterpreterPlug",
    "TensorInfo",
    "available_interpreters",
    "choose_interpreter",
    "interpreter_for",
]
