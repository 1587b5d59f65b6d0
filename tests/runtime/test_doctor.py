"""The doctor, on the machine at hand, on broken packages that say what real ones say, and on a really broken one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_sdk_runtime import doctor as module
from edge_sdk_runtime import remedies
from edge_sdk_runtime.cli import main
from edge_sdk_runtime.doctor import PartCheck, diagnose
from edge_sdk_runtime.interpreters import ENVIRONMENT_VARIABLE, choose_interpreter
from edge_sdk_runtime.interpreters.tflite import LITERT
from edge_sdk_runtime.remedies import Cause, cause_of, command_for
from tests.tflite_environment import PYTHON, needs_tflite_runtime

Output = pytest.CaptureFixture[str]
HEADLESS = "opencv-python-headless"
NO_FILE = ": cannot open shared object file: No such file or directory"
DONE: list[dict[str, Any]] = [{"step": "import"}, {"step": "imported", "version": "1"}, {"step": "done"}]


@pytest.fixture(autouse=True)
def _no_choice_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Diagnosis", "PartCheck", "diagnose"]
    assert sorted(remedies.__all__) == ["Cause", "PIP", "cause_of", "command_for"]


@pytest.mark.parametrize(
    ("kind", "message", "errors", "cause", "detail"),
    [
        ("ModuleNotFoundError", "No module named 'cv2'", "", Cause.MISSING, "No module named 'cv2'"),
        (
            "ImportError",
            "numpy.core.multiarray failed to import",
            "",
            Cause.NUMPY,
            "numpy.core.multiarray failed to import",
        ),
        ("SystemError", "<built-in>", "AttributeError: _ARRAY_API not found\n", Cause.NUMPY, "_ARRAY_API not found"),
        ("RuntimeError", "compiled against API version 0x10 but", "", Cause.NUMPY, "compiled against API version"),
        ("ValueError", "numpy.dtype size changed, may indicate", "", Cause.NUMPY, "dtype size changed"),
        ("ImportError", f"libGL.so.1{NO_FILE}", "", Cause.LIBRARY, "libGL.so.1 is missing"),
        (
            "ImportError",
            "libc.so.6: version `GLIBC_2.34' not found",
            "",
            Cause.LIBRARY,
            "GLIBC_2.34 is newer than this system's",
        ),
        (
            "ImportError",
            "version `GLIBCXX_3.4' not found",
            "",
            Cause.LIBRARY,
            "GLIBCXX_3.4 is newer than this system's",
        ),
        ("AttributeError", "no attribute '_x'\nmore", "", Cause.FAILED, "no attribute '_x'"),
    ],
)
def test_causes_are_told_apart_by_what_is_said(kind: str, message: str, errors: str, cause: Cause, detail: str) -> None:
    steps = [{"step": "import"}, {"step": "failed", "kind": kind, "message": message}]
    assert cause_of(1, steps, errors) == (cause, detail)


def test_causes_without_words() -> None:
    assert cause_of(0, DONE, "a warning") is None
    assert cause_of(-6, DONE[:2], "") == (Cause.CRASHED, "SIGABRT after step imported")
    assert cause_of(-4, [], "") == (Cause.CRASHED, "SIGILL after step none")
    assert cause_of(3, DONE[:1], "") == (Cause.FAILED, "status 3 after step import")
    assert cause_of(0, DONE[:2], "") == (Cause.FAILED, "status 0 after step imported")
    wrong = [*DONE[:2], {"step": "invoked", "answer": [0.0, 0.0, 0.0]}, DONE[2]]
    found = cause_of(0, wrong, "")
    assert found is not None and found[0] is Cause.WRONG


@pytest.mark.parametrize(
    ("name", "cause", "detail", "numpy", "command"),
    [
        ("opencv", Cause.NUMPY, "_ARRAY_API not found", "1.26.4", f"install '{HEADLESS}==4.10.0.84'"),
        ("opencv", Cause.NUMPY, "_ARRAY_API not found", "2.1.0", f"install --upgrade --force-reinstall {HEADLESS}"),
        ("numpy", Cause.MISSING, "No module named 'numpy'", "", "install numpy"),
        ("litert", Cause.NUMPY, "_ARRAY_API not found", "2.1.0", "install --upgrade ai-edge-litert"),
        ("tflite-runtime", Cause.CRASHED, "SIGILL", "1.26.4", "--force-reinstall tflite-runtime==2.14.0 'numpy<2'"),
        ("tflite-runtime", Cause.LIBRARY, "GLIBC_2.34 is newer", "1.26.4", "install ai-edge-litert"),
        ("litert", Cause.LIBRARY, "GLIBC_2.34 is newer", "1.26.4", "sudo apt-get full-upgrade"),
        ("litert", Cause.LIBRARY, "libodd.so.7 is missing", "1.26.4", "apt-file search libodd.so.7"),
    ],
)
def test_every_cause_has_one_command(name: str, cause: Cause, detail: str, numpy: str, command: str) -> None:
    mended = command_for(name, cause, detail, numpy)
    assert mended.endswith(command)
    assert "\n" not in mended


def test_a_healthy_machine(capsys: Output) -> None:
    assert main.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert f"{LITERT.version()}, chosen: the first installed of the list" in text
    assert text.endswith("Healthy: litert ran the built-in model.\n")
    assert "Python 3." in text


def stub(folder: Path, name: str, body: str, inside: str = "") -> None:
    """A package that says and does what a broken one does."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(f"__version__ = '9.9'\n{'' if inside else body}\n")
    if inside:
        (package / f"{inside}.py").write_text(body + "\n")


INTERPRETER = "class Interpreter:\n    def __init__(self, **_):\n        {}"


@pytest.mark.parametrize(
    ("name", "body", "cause", "command"),
    [
        ("ai_edge_litert", INTERPRETER.format("import os; os.abort()"), "crashed", "install --upgrade ai-edge-litert"),
        ("ai_edge_litert", f"raise ImportError('libgomp.so.1{NO_FILE}')", "library", "apt-get install --yes libgomp1"),
        (
            "cv2",
            f"raise ImportError('libGL.so.1{NO_FILE}')",
            "library",
            f"{HEADLESS} && python -m pip install {HEADLESS}",
        ),
        ("cv2", "raise ModuleNotFoundError('No module named cv2')", "missing", f"python -m pip install {HEADLESS}"),
    ],
)
def test_a_broken_part_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str, cause: str, command: str
) -> None:
    stub(tmp_path, name, body, "" if name == "cv2" else "interpreter")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    diagnosis = diagnose()
    (trouble,) = diagnosis.troubles
    assert not diagnosis.healthy
    assert trouble.cause is Cause(cause)
    assert trouble.mend.endswith(command)


def test_a_broken_part_is_shown_and_status_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    stub(tmp_path, "ai_edge_litert", INTERPRETER.format("raise RuntimeError('no good')"), "interpreter")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main.main(["doctor"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "litert must work. Received: no good. Run: python -m pip install --upgrade ai-edge-litert"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_an_unknown_interpreter_is_a_trouble(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "onnx")
    checked = {"numpy": PartCheck("numpy", "2.0"), "opencv": PartCheck("opencv", "5.0")}
    monkeypatch.setattr(module, "_try", lambda name, *_: checked.get(name, PartCheck(name, "1.0")))
    (trouble,) = diagnose("onnx" if how == "argument" else None).troubles
    assert "names 'onnx', which is unknown" in trouble.detail
    assert trouble.mend == ("edge-run doctor" if how == "argument" else f"unset {ENVIRONMENT_VARIABLE}")


def test_the_choice_is_the_runtime_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_try", lambda name, *_: PartCheck(name, "1.0"))
    assert diagnose().interpreter.name == choose_interpreter().name
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "tflite-runtime")
    diagnosis = diagnose()
    assert (diagnosis.interpreter.name, diagnosis.interpreter.cause) == (choose_interpreter().name, Cause.MISSING)
    assert diagnosis.troubles[0].mend == "python -m pip install tflite-runtime==2.14.0 'numpy<2'"


def test_nothing_installed_is_a_trouble(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "_try", lambda name, *_: PartCheck(name, "1.0"))
    (trouble,) = diagnose().troubles
    assert (trouble.detail, trouble.mend) == ("none installed", "python -m pip install ai-edge-litert")
    assert main.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "interpreter must work. Received: none installed. Run: python -m pip install ai-edge-litert",
        "Bundles that hold no model run all the same: edge-run info says which do.",
    ]


def edge_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "edge_sdk_runtime", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_the_doctor_speaks_where_nothing_else_does(tmp_path: Path) -> None:
    stub(tmp_path, "numpy", "raise ImportError('libopenblas.so.0: cannot open shared object file: No such file')")
    done = edge_run(tmp_path, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["healthy"] is False
    assert {"numpy", "opencv", "litert"} <= set(document["troubles"])
    assert document["parts"][0]["mend"] == "sudo apt-get install --yes libopenblas0"
    other = edge_run(tmp_path, "info", "a.edge")
    assert (other.returncode, other.stdout) == (2, "")
    assert other.stderr.startswith("edge-run: NumPy and OpenCV must be importable. Received: libopenblas.so.0")
    assert other.stderr.endswith("Run: edge-run doctor\n") and other.stderr.count("\n") == 1


@needs_tflite_runtime
def test_tflite_runtime_beside_numpy_2_is_an_abi_break(tmp_path: Path) -> None:
    """The released package with the NumPy that pip brings with it: it imports, and fails at its first model."""
    packages = next(PYTHON.parents[1].glob("lib/python3.*/site-packages"))
    (tmp_path / "tflite_runtime").symlink_to(packages / "tflite_runtime")
    done = edge_run(tmp_path, "doctor", "--interpreter", "tflite-runtime")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "tflite-runtime must work. Received: numpy.core.multiarray failed to import. "
        "Run: python -m pip install 'numpy<2' 'opencv-python-headless==4.10.0.84'"
    )
