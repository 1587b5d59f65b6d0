"""The gate's data against the real wheels, and the tiny models that ask them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_sdk_converters import probe as package
from edge_sdk_converters.probe import Answers, Environment, ask, kernel_questions, release_table
from edge_sdk_converters.probe.ask import ProbeError
from edge_sdk_converters.probe.table import table_text
from edge_sdk_runtime import gate
from edge_sdk_runtime.gate import Runtime, Trouble, check_operators, known_runtimes, signature_of
from edge_sdk_runtime.operators import Operator, read_operators
from tests.converters.helpers import assert_one_line
from tests.tflite_environment import PYTHON, needs_tflite_runtime

RELEASES = json.loads(Path(gate.__file__).with_name("releases.json").read_text(encoding="utf-8"))
HIGHEST = 16
"""Two more than any operator has today."""


def test_public_names() -> None:
    names = ["Answers", "Environment", "KernelQuestion", "ask", "kernel_questions", "release_table", "run_models"]
    assert sorted(package.__all__) == names


def recorded(runtime: Runtime) -> Answers:
    """What the gate's data says of a release, in the words of an answer."""
    table = RELEASES["packages"][runtime.package]
    place = table["releases"].index(runtime.version)
    versions = {}
    for name, changes in table["operators"].items():
        known = [release for release in table["releases"][: place + 1] if release in changes]
        if known:
            versions[name] = tuple(changes[known[-1]])
    troubles = {
        signature: Trouble(kind)
        for kind in ("refused", "wrong")
        for signature, ranges in table[kind].items()
        if any(table["releases"].index(first) <= place <= table["releases"].index(last) for first, last in ranges)
    }
    return Answers(runtime, versions, troubles)


def assert_as_recorded(python: Path) -> None:
    answers = ask(Environment(python), HIGHEST)
    expected = recorded(answers.runtime)
    assert dict(answers.versions) == dict(expected.versions)
    # Which of the two it is may be chance: a kernel that reads what lies behind its tensors refuses by luck.
    assert set(answers.troubles) == set(expected.troubles)


def test_the_installed_litert_can_what_the_data_says() -> None:
    assert_as_recorded(Path(sys.executable))


@needs_tflite_runtime
def test_tflite_runtime_2_14_can_what_the_data_says() -> None:
    assert_as_recorded(PYTHON)


def test_the_gate_calls_a_question_by_its_signature() -> None:
    """A question's own operator, the last of its model, has the name under which its answer is recorded."""
    for question in kernel_questions():
        operators = read_operators(question.model)
        dequantized = {id(operators[0].outputs[0]): question.signature.rpartition(" ")[2]}
        asked = operators[0] if question.signature.startswith("DEQUANTIZE") else operators[-1]
        assert signature_of(asked, dequantized) == question.signature


def test_questions_are_the_same_every_time() -> None:
    first, second = (
        [(each.signature, each.model, each.input.tobytes()) for each in kernel_questions(3)] for _ in range(2)
    )
    assert first == second
    assert len({signature for signature, _, _ in first}) == len(first)


def answers(package: str, version: str, versions: dict[str, tuple[int, int]], wrong: str = "") -> Answers:
    return Answers(Runtime(package, version), versions, {wrong: Trouble.WRONG} if wrong else {})


def test_answers_become_a_table_of_changes_and_ranges() -> None:
    table = release_table(
        [
            answers("ai-edge-litert", "2.10.0", {"ADD": (1, 3), "NEW": (1, 1)}, "ADD x"),
            answers("ai-edge-litert", "2.2.0", {"ADD": (1, 2)}, "ADD x"),
            answers("ai-edge-litert", "2.9.0", {"ADD": (1, 2)}, "ADD x"),
            answers("ai-edge-litert", "2.11.0", {"ADD": (1, 3), "NEW": (1, 1)}),
            answers("ai-edge-litert", "2.12.0", {"ADD": (1, 3), "NEW": (1, 1)}, "ADD x"),
        ]
    )
    package = table["packages"]["ai-edge-litert"]
    assert package["releases"] == ["2.2.0", "2.9.0", "2.10.0", "2.11.0", "2.12.0"]
    assert package["operators"] == {"ADD": {"2.2.0": [1, 2], "2.10.0": [1, 3]}, "NEW": {"2.10.0": [1, 1]}}
    assert package["wrong"] == {"ADD x": [["2.2.0", "2.10.0"], ["2.12.0", "2.12.0"]]}
    assert json.loads(table_text(table)) == table


def test_the_recorded_table_is_written_as_the_tool_writes_it() -> None:
    text = Path(gate.__file__).with_name("releases.json").read_text(encoding="utf-8")
    assert table_text(RELEASES) == text
    assert release_table(map(recorded, known_runtimes())) == RELEASES


def test_a_python_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ai_edge_litert.py").write_text("raise ImportError('none here')")
    with pytest.raises(ProbeError, match="An interpreter must answer in") as caught:
        ask(Environment(Path(sys.executable), tmp_path), 1)
    assert_one_line(caught.value)


def test_a_registered_operator_may_still_have_a_kernel_that_is_wrong() -> None:
    """The reason for asking at all: a version of which no release's registration says anything."""
    question = next(each for each in kernel_questions() if each.signature == "FULLY_CONNECTED float32×int8 per channel")
    (operator,) = read_operators(question.model)
    assert isinstance(operator, Operator) and operator.version == 1
    (finding,) = check_operators([operator], Runtime("tflite-runtime", "2.14.0"))
    assert finding.trouble is Trouble.WRONG
    assert question.input.dtype == np.float32
