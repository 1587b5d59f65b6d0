import hashlib
from pathlib import Path

import pytest

from edge_sdk_converters.pack import pack
from edge_sdk_runtime import BundleCorruptError
from edge_sdk_runtime.cache import CACHE_VARIABLE, cache_status, cached_model
from edge_sdk_runtime.codec import PackedModel
from tests.converters.pack.files import shared_weights, tflite_of

MODEL = tflite_of({"w": shared_weights((60, 50), 16, 0.06)})
CONTENT = pack(MODEL).content
NAME = f"{hashlib.sha256(MODEL).hexdigest()}.tflite"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is not there yet."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


def model() -> bytes:
    return cached_model(PackedModel.read(CONTENT))


def test_a_model_is_rebuilt_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model() == MODEL
    assert [path.name for path in folder.iterdir()] == [NAME]
    monkeypatch.delattr(PackedModel, "write_to")
    assert model() == MODEL


@pytest.mark.parametrize("content", [b"", MODEL[:-1], MODEL[:-1] + b"?", MODEL + b"\0"])
def test_a_damaged_file_is_rebuilt(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    assert model() == MODEL
    assert (folder / NAME).read_bytes() == MODEL


def test_a_damaged_packed_model_leaves_nothing_behind(folder: Path) -> None:
    packed = PackedModel.read(CONTENT[:-1] + bytes([CONTENT[-1] ^ 255]))
    with pytest.raises(BundleCorruptError):
        cached_model(packed)
    assert list(folder.iterdir()) == []


def test_without_a_folder_models_are_rebuilt_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    assert model() == MODEL
    status = cache_status()
    assert status.problem == "Not a directory"
    assert f"{tmp_path / 'file' / 'cache'} cannot be written to (Not a directory)" in str(status)
    assert "rebuilt in memory at every start. Set EDGE_SDK_CACHE" in str(status)


def test_a_folder_in_place_of_the_file_is_no_reason_to_stop(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True)
    assert model() == MODEL
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_the_folder_is_the_first_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_status().folder == tmp_path / "named"
    assert str(cache_status()) == str(tmp_path / "named")
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_status().folder == tmp_path / "xdg" / "edge-sdk"
    for ignored in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_status().folder == tmp_path / "home" / ".cache" / "edge-sdk"


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert (cache_status().folder, cache_status().problem) == (None, "there is no home folder")
    assert "none: there is no home folder" in str(cache_status())
    assert model() == MODEL
