import subprocess
import sys
from pathlib import Path

import pytest

import edge_sdk_runtime
from edge_sdk_runtime import errors

ROOT = Path(__file__).parents[2]
FORBIDDEN = ("tensorflow", "keras", "sklearn", "matplotlib", "edge_sdk", "edge_sdk_converters", "edge_sdk_devices")


def test_the_public_names() -> None:
    assert edge_sdk_runtime.__all__ == [
        "BenchError",
        "BoardThrottledError",
        "Bundle",
        "BundleCorruptError",
        "BundleError",
        "BundleVersionError",
        "CameraEndedError",
        "CameraError",
        "CameraTimeoutError",
        "CameraUnavailableError",
        "Classification",
        "Classifier",
        "Color",
        "EdgeRuntimeError",
        "FrameError",
        "ImageReadError",
        "Interpolation",
        "InterpreterError",
        "InterpreterUnavailableError",
        "LatencySummary",
        "Manifest",
        "MlpHead",
        "ModelUnsupportedError",
        "Pixels",
        "PreprocessSpec",
        "Preprocessor",
        "PreviewError",
        "Region",
        "ResizeMode",
        "Similarity",
        "UsageError",
        "Verification",
        "VerificationError",
        "__version__",
        "as_frame",
        "available_interpreters",
        "choose_interpreter",
        "decode_image",
        "read_image",
        "similarity_features",
        "verify",
    ]


def test_every_public_name_is_listed_for_those_who_look() -> None:
    assert set(edge_sdk_runtime.__all__) <= set(dir(edge_sdk_runtime))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = edge_sdk_runtime.nonsense


def printed(script: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


HEAVY = (
    *("dataclasses", "pathlib", "threading", "urllib.parse", "tempfile", "zipfile", "importlib.metadata"),
    *(f"edge_sdk_runtime.{name}" for name in ("verify", "gate", "codec", "cameras", "teach")),
)


def test_a_classifier_brings_little_besides_numpy_and_opencv() -> None:
    assert (
        printed(
            "import sys, cv2, numpy; before = {*sys.modules}\n"
            "from edge_sdk_runtime import Classifier, read_image\n"
            f"print(({{*sys.modules}} - before) & {{*{HEAVY!r}}})"
        )
        == "set()"
    )


def test_the_package_and_its_errors_bring_neither_numpy_nor_opencv() -> None:
    script = "import sys; from edge_sdk_runtime import BundleError; print({'numpy', 'cv2'} & {*sys.modules})"
    assert printed(script) == "set()"


def test_verify_stays_the_function_where_its_module_is_imported_first() -> None:
    script = (
        "import edge_sdk_runtime.verify; from edge_sdk_runtime import verify\n"
        "print(verify.__name__, edge_sdk_runtime.verify is verify)"
    )
    assert printed(script) == "verify True"


def test_without_numpy_asking_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('libopenblas.so.0: cannot open')")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import edge_sdk_runtime\n"
        "try: edge_sdk_runtime.Classifier\nexcept ImportError as error: print(error)"
    )
    assert printed(script) == (
        "NumPy and OpenCV must be importable. Received: libopenblas.so.0: cannot open. Run: edge-run doctor"
    )


@pytest.mark.parametrize("name", edge_sdk_runtime.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(edge_sdk_runtime, name)
    assert name == "__version__" or (value.__doc__ or "").strip()


def test_every_error_is_there_without_what_raises_it() -> None:
    """A program that catches a camera's errors does not wait for cameras, nor for measurements or the web server."""
    assert set(errors.__all__) <= set(edge_sdk_runtime.__all__)
    script = (
        "import sys; from edge_sdk_runtime import *\n"
        "print([name for name in sys.modules if name.startswith(('edge_sdk_runtime.cameras', 'edge_sdk_runtime.bench', 'http'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("BenchError", RuntimeError),
        ("BoardThrottledError", RuntimeError),
        ("BundleError", ValueError),
        ("BundleCorruptError", ValueError),
        ("BundleVersionError", ValueError),
        ("CameraEndedError", EOFError),
        ("CameraError", OSError),
        ("CameraTimeoutError", TimeoutError),
        ("CameraUnavailableError", OSError),
        ("ModelUnsupportedError", ValueError),
        ("FrameError", ValueError),
        ("ImageReadError", OSError),
        ("InterpreterError", RuntimeError),
        ("InterpreterUnavailableError", ImportError),
        ("PreviewError", OSError),
        ("UsageError", ValueError),
        ("VerificationError", RuntimeError),
    ],
)
def test_every_error_has_one_root_and_is_a_builtin_too(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(edge_sdk_runtime, name), edge_sdk_runtime.EdgeRuntimeError)
    assert issubclass(getattr(edge_sdk_runtime, name), builtin)


@pytest.mark.parametrize("module", ["edge_sdk_runtime", "edge_sdk_runtime.cli.main"])
def test_importing_brings_nothing_from_the_workstation(module: str) -> None:
    script = f"import sys, {module}; print(*[name for name in {FORBIDDEN!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_both_distributions_have_the_version() -> None:
    for path in (ROOT / "pyproject.toml", ROOT / "runtime" / "pyproject.toml"):
        assert f'\nversion = "{edge_sdk_runtime.__version__}"\n' in path.read_text(encoding="utf-8")
    assert f'"edge-sdk-runtime=={edge_sdk_runtime.__version__}"' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )
