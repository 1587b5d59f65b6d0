"""Bundles whose models are stored coded: what runs is the same, and what is damaged is refused."""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import pytest

from edge_sdk_converters.pack import pack
from edge_sdk_runtime import Bundle, BundleCorruptError, BundleVersionError, Manifest, verify
from edge_sdk_runtime.cache import CACHE_VARIABLE
from edge_sdk_runtime.cli import main
from edge_sdk_runtime.manifest import PACKED_TFLITE, FileEntry, RebuiltFile
from tests.runtime.helpers import changed, real_bundle, tflite_files

Output = pytest.CaptureFixture[str]


@functools.cache
def packed_files() -> dict[str, bytes]:
    return {name: pack(content).content for name, content in tflite_files().items() if name != "head.tflite"}


@pytest.fixture
def coded() -> Bundle:
    """The colour bundle with both models packed."""
    return changed(real_bundle(), packed_files())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_coded_bundle_runs_as_the_plain_one(coded: Bundle, tmp_path: Path, cache: Path) -> None:
    coded.write(tmp_path / "coded.edge")
    opened = Bundle.open(tmp_path / "coded.edge")
    assert verify(opened).passed
    for name, stored in packed_files().items():
        assert opened.read(name) == real_bundle().read(name) == tflite_files()[name]
        assert opened.members()[name] == stored
    assert len(list(cache.iterdir())) == 2


def test_the_manifest_tells_what_is_stored_and_what_is_rebuilt(coded: Bundle) -> None:
    for name, stored in packed_files().items():
        plain = tflite_files()[name]
        rebuilt = RebuiltFile(len(plain), hashlib.sha256(plain).hexdigest())
        assert coded.manifest.files[name] == FileEntry(len(stored), hashlib.sha256(stored).hexdigest(), rebuilt)
    assert coded.manifest.files["prototypes.npy"].rebuilt is None
    document = json.loads(coded.manifest.to_json())["files"]
    assert set(document["encoder.tflite"]["rebuilt"]) == {"coding", "size_bytes", "sha256"}
    assert set(document["prototypes.npy"]) == {"size_bytes", "sha256"}
    assert Manifest.from_json(coded.manifest.to_json()) == coded.manifest


def test_a_bundle_in_memory_leaves_no_files(coded: Bundle, cache: Path) -> None:
    opened = Bundle.from_bytes(coded.to_bytes())
    assert opened.read("encoder.tflite") == tflite_files()["encoder.tflite"]
    assert not cache.exists()


def test_an_unknown_coding_is_refused_with_the_command_that_helps(coded: Bundle) -> None:
    text = coded.manifest.to_json().replace(PACKED_TFLITE, "packed-tflite-2")
    with pytest.raises(BundleVersionError, match=r"Received: 'packed-tflite-2'\. Run: pip install --upgrade edge-sdk"):
        Manifest.from_json(text)


@pytest.mark.parametrize("change", [{"size_bytes": 5}, {"sha256": "0" * 64}])
def test_a_coded_file_that_promises_something_else_is_refused(coded: Bundle, change: dict[str, object]) -> None:
    entry = coded.manifest.files["encoder.tflite"]
    assert entry.rebuilt is not None
    other = dataclasses.replace(entry, rebuilt=dataclasses.replace(entry.rebuilt, **change))
    files = {**coded.manifest.files, "encoder.tflite": other}
    with pytest.raises(BundleCorruptError, match="must rebuild what the manifest says"):
        Bundle(dataclasses.replace(coded.manifest, files=files), coded.members())
    lazily = Bundle(dataclasses.replace(coded.manifest, files=files), coded.members(), lazily=True)
    with pytest.raises(BundleCorruptError, match="must rebuild what the manifest says"):
        lazily.read("encoder.tflite")


def test_a_coded_file_whose_streams_are_damaged_is_refused(coded: Bundle) -> None:
    """By someone who made its hash again, since the bundle's own would tell."""
    content = bytearray(packed_files()["encoder.tflite"])
    content[len(content) // 2] ^= 255
    bundle = changed(coded, {"encoder.tflite": bytes(content)})
    with pytest.raises(BundleCorruptError, match="A packed model must be whole and unaltered"):
        bundle.read("encoder.tflite")


def test_info_shows_stored_and_rebuilt_sizes_and_the_cache(
    coded: Bundle, tmp_path: Path, cache: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "coded.edge")
    coded.write(path)
    assert main.main(["info", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("model cache")).split()[-1] == str(cache)
    assert next(line for line in lines if line.startswith("file ")).split() == ["file", "stored", "rebuilt"]
    assert len(next(line for line in lines if line.startswith("encoder.tflite")).split()) == 5
    monkeypatch.setenv(CACHE_VARIABLE, f"{path}/cache")
    assert main.main(["info", path]) == 0
    assert "models are rebuilt in memory at every start" in capsys.readouterr().out


def test_unpack_gives_the_model_back(tmp_path: Path, capsys: Output) -> None:
    packed, back = tmp_path / "m.tflitez", tmp_path / "m.tflite"
    packed.write_bytes(packed_files()["encoder.tflite"])
    assert main.main(["unpack", str(packed), "-o", str(back)]) == 0
    assert back.read_bytes() == tflite_files()["encoder.tflite"]
    digest = hashlib.sha256(back.read_bytes()).hexdigest()
    assert capsys.readouterr().out.strip().endswith(f"SHA-256 {digest}.")
    assert main.main(["unpack", str(packed), "-o", str(back), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": str(back),
        "size_bytes": len(back.read_bytes()),
        "sha256": digest,
    }


def test_unpack_refuses_other_files_and_writes_nothing(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "other").write_bytes(b"other")
    assert main.main(["unpack", str(tmp_path / "other"), "-o", str(tmp_path / "back")]) == 2
    assert "A packed model must be whole" in capsys.readouterr().err
    assert not (tmp_path / "back").exists()
