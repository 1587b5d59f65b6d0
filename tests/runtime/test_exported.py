import subprocess
import sys
from pathlib import Path

import pytest

import edge_sdk_runtime

ROOT = Path(__file__).parents[2]
FORBIDDEN = ("tensorflow", "keras", "sklearn", "matplotlib", "edge_sdk", "edge_sdk_converters", "edge_sdk_devices")


def test_the_public_names() -> None:
    assert edge_sdk_runtime.__all__ == [
        "Bundle",
        "BundleCorruptError",
        "BundleError",
        "BundleVersionError",
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


@pytest.mark.parametrize("name", edge_sdk_runtime.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(edge_sdk_runtime, name)
    assert name == "__version__" or (value.__doc__ or "").strip()


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("BundleError", ValueError),
        ("BundleCorruptError", ValueError),
        ("BundleVersionError", ValueError),
        ("ModelUnsupportedError", ValueError),
        ("FrameError", ValueError),
        ("ImageReadError", OSError),
        ("InterpreterError", RuntimeError),
        ("InterpreterUnavailableError", ImportError),
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
