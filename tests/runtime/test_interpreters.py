import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_sdk_runtime import (
    InterpreterError,
    InterpreterUnavailableError,
    available_interpreters,
    choose_interpreter,
)
from edge_sdk_runtime.interpreters import ENVIRONMENT_VARIABLE, Interpreter, InterpreterPlug, TensorInfo
from edge_sdk_runtime.interpreters.fake import FakeInterpreter, FakePlug
from edge_sdk_runtime.interpreters.quiet import without_notices
from edge_sdk_runtime.interpreters.tflite import LITERT, TFLITE_RUNTIME, TflitePlug
from tests.runtime.helpers import SPEC, expected_features, fake_plug, tflite_files


@dataclass(frozen=True)
class Named:
    """A plug that is a name, there or not."""

    name: str
    there: bool

    def installed(self) -> bool:
        return self.there

    def version(self) -> str | None:
        return "1.0" if self.there else None

    def release(self) -> None:
        return None

    def load(self, model: bytes, threads: int) -> Interpreter:
        raise NotImplementedError


ABSENT, SECOND, THIRD = Named("absent", False), Named("second", True), Named("third", True)
PLUGS = (ABSENT, SECOND, THIRD)


@pytest.fixture(autouse=True)
def _no_choice_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


def test_the_first_installed_plug_of_the_list_is_chosen() -> None:
    assert choose_interpreter(plugs=PLUGS) is SECOND
    assert choose_interpreter(plugs=PLUGS[::-1]) is THIRD


def test_the_environment_goes_before_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "third")
    assert choose_interpreter(plugs=PLUGS) is THIRD
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
    assert choose_interpreter(plugs=PLUGS) is SECOND


def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "third")
    assert choose_interpreter("second", PLUGS) is SECOND
    plug = FakePlug({})
    assert choose_interpreter(plug, PLUGS) is plug


def test_a_named_plug_is_never_exchanged_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_interpreter("absent", PLUGS) is ABSENT
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "absent")
    assert choose_interpreter(plugs=PLUGS) is ABSENT


def test_unknown_names_are_refused_with_where_they_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InterpreterUnavailableError, match=r"absent, second, third\. Received: 'other'\."):
        choose_interpreter("other", PLUGS)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "other")
    with pytest.raises(InterpreterUnavailableError, match=r"'other' \(from EDGE_SDK_INTERPRETER\)"):
        choose_interpreter(plugs=PLUGS)


def test_nothing_installed_names_the_command_that_helps() -> None:
    with pytest.raises(InterpreterUnavailableError, match=r"none installed\. Run: pip install ai-edge-litert$"):
        choose_interpreter(plugs=(ABSENT,))
    with pytest.raises(ImportError):
        choose_interpreter(plugs=())


def test_litert_is_preferred_to_tflite_runtime() -> None:
    plugs = available_interpreters()
    assert [plug.name for plug, _ in plugs] == ["litert", "tflite-runtime"]
    assert [version for _, version in plugs] == [LITERT.version(), TFLITE_RUNTIME.version()]
    assert LITERT.installed()
    assert LITERT.version()


def test_a_package_that_is_missing_names_its_install_command() -> None:
    plug = TflitePlug("missing", "no-such-distribution", "no_such_module_of_ours", "pip install something")
    assert not plug.installed()
    assert plug.version() is None
    with pytest.raises(
        InterpreterUnavailableError,
        match=r"missing must be importable.*no_such_module_of_ours.*Run: pip install something$",
    ):
        plug.load(b"", 1)


def test_ctrl_c_while_a_package_is_imported_is_no_broken_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "interrupted_module_of_ours.py").write_text(
        "raise ImportError('initialization failed') from KeyboardInterrupt()"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        TflitePlug("interrupted", "no-such-distribution", "interrupted_module_of_ours", "").load(b"", 1)


def plug_of(monkeypatch: pytest.MonkeyPatch, interpreter_class: Any) -> TflitePlug:
    """A plug whose package holds this interpreter."""
    module = ModuleType("interpreter_of_a_test")
    module.Interpreter = interpreter_class  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return TflitePlug("broken", "numpy", module.__name__, "pip install it 'numpy<2'")


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_package_built_for_another_numpy_names_its_install_command(
    monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    """tflite-runtime 2.14 beside NumPy 2 imports well and fails at its first interpreter, with a SystemError."""

    def fail(**_: object) -> None:
        cause = ImportError("numpy.core.multiarray failed to import")
        if wrapped:
            raise SystemError("<built-in method> returned a result with an exception set") from cause
        raise cause

    plug = plug_of(monkeypatch, fail)
    with pytest.raises(
        InterpreterUnavailableError,
        match=r"fit the installed NumPy\. Received: numpy\.core\.multiarray.*Run: pip install it",
    ):
        plug.load(b"model", 1)


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 1), (1, 2), (0, 1), (1, 0)])
def test_models_have_one_input_and_one_output(monkeypatch: pytest.MonkeyPatch, inputs: int, outputs: int) -> None:
    def load(**_: object) -> SimpleNamespace:
        return SimpleNamespace(
            allocate_tensors=lambda: None,
            get_input_details=lambda: [{}] * inputs,
            get_output_details=lambda: [{}] * outputs,
        )

    with pytest.raises(InterpreterError, match=f"one input and one output. Received: {inputs} and {outputs}"):
        plug_of(monkeypatch, load).load(b"model", 1)


@pytest.mark.parametrize("model", [b"", b"garbage", bytes(1000), b"\x1c\0\0\0TFL3" + bytes(64)])
def test_what_is_no_model_is_refused_in_one_line(model: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InterpreterError, match=r"^ai-edge-litert .* must be able to load the model\. Received: "
    ) as info:
        LITERT.load(model, 1)
    assert "\n" not in str(info.value)


def test_a_model_cut_in_half_is_refused() -> None:
    model = tflite_files()["encoder.tflite"]
    with pytest.raises(InterpreterError):
        LITERT.load(model[: len(model) // 2], 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_litert_runs_a_model(threads: int, capfd: pytest.CaptureFixture[str]) -> None:
    encoder = LITERT.load(tflite_files()["encoder.tflite"], threads)
    assert encoder.input == TensorInfo((1, *SPEC.shape), "uint8")
    assert encoder.output == TensorInfo((1, 3), "float32")
    for color in ((255, 0, 51), (0, 102, 0)):
        encoder.input_view()[0] = color
        encoder.invoke()
        np.testing.assert_allclose(encoder.output_view()[0], expected_features(*color), rtol=0, atol=1e-6)
    assert capfd.readouterr() == ("", "")


def interpreters() -> list[tuple[InterpreterPlug, bytes]]:
    return [(LITERT, tflite_files()["encoder.tflite"]), (fake_plug(), b"an encoder")]


@pytest.mark.parametrize("index", [0, 1], ids=["litert", "fake"])
@pytest.mark.parametrize("call", ["input_view", "invoke", "output_view"])
def test_a_closed_interpreter_says_so(index: int, call: str) -> None:
    plug, model = interpreters()[index]
    interpreter = plug.load(model, 1)
    interpreter.close()
    interpreter.close()
    with pytest.raises(InterpreterError, match=r"closed interpreter cannot run.*Load the bundle again"):
        getattr(interpreter, call)()
    reloaded = plug.load(model, 1)
    reloaded.invoke()


def test_a_failing_model_is_an_interpreter_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("Node number 3 failed to invoke.\nand more")

    details = {"shape": np.array([1]), "dtype": np.float32, "index": 0}
    loaded = SimpleNamespace(
        allocate_tensors=lambda: None,
        get_input_details=lambda: [details],
        get_output_details=lambda: [details],
        tensor=lambda _: lambda: np.zeros(1),
        invoke=fail,
    )
    interpreter = plug_of(monkeypatch, lambda **_: loaded).load(b"model", 1)
    with pytest.raises(InterpreterError, match=r"Received: Node number 3 failed to invoke\. Run edge-run verify"):
        interpreter.invoke()


def test_the_fake_calls_its_function() -> None:
    fake = FakeInterpreter(lambda image: image * 2.0, TensorInfo((1, 2), "uint8"), TensorInfo((1, 2), "float32"))
    plug = FakePlug({b"model": fake}, name="mine")
    assert (plug.name, plug.installed(), plug.version()) == ("mine", True, "0")
    loaded = plug.load(b"model", 4)
    loaded.input_view()[0] = (3, 4)
    loaded.invoke()
    assert loaded.output_view().tolist() == [[6, 8]]
    assert loaded.output_view().dtype == np.float32
    assert fake.invocations == 1
    with pytest.raises(InterpreterError, match="5 other bytes"):
        plug.load(b"other", 1)


def test_notices_are_held_back_and_all_else_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notices():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: something is wrong\n")
        os.write(2, b"W0000 00:00:1700000000.000000 1 file.cc:1] hm\nlast words")
    assert capfd.readouterr().err == "ERROR: something is wrong\nlast words"


def test_what_was_written_before_an_exception_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), without_notices():
        os.write(2, b"ERROR: why\n")
        raise RuntimeError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: why\nafter\n"
