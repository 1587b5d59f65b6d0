from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge_sdk_runtime
from edge_sdk_converters.pack import pack
from edge_sdk_devices import phone
from edge_sdk_devices.errors import EdgeSdkError, PhoneError
from edge_sdk_devices.phone import Site, build_site, write_site
from edge_sdk_devices.phone import site as site_module
from edge_sdk_runtime import Bundle
from tests.devices.phone.helpers import APP, small_app, snapshot
from tests.runtime.helpers import changed, make_bundle


@pytest.fixture(autouse=True)
def _app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_app(tmp_path_factory.mktemp("app")):
        yield


def test_the_public_names_are_these() -> None:
    assert phone.__all__ == ["Certificate", "PhoneServer", "Site", "build_site", "self_made", "supplied", "write_site"]


def test_a_site_is_the_app_and_the_bundle_under_its_name() -> None:
    bundle = make_bundle(name='mugs & "cups"')
    site = build_site(bundle)
    assert set(site.files) == {*APP, "model.edge"}
    assert Bundle.from_bytes(site.files["model.edge"]).manifest == bundle.manifest
    assert b"<title>mugs &amp; &quot;cups&quot;</title>" in site.files["index.html"]
    named = json.loads(site.files["manifest.webmanifest"])
    assert (named["name"], named["short_name"], named["start_url"]) == ('mugs & "cups"', 'mugs & "cups"', "./")
    assert build_site(bundle).files == site.files


def listing(site: Site) -> dict[str, object]:
    first, _, rest = site.files["service-worker.js"].partition(b"\n")
    assert rest == APP["service-worker.js"]
    found: dict[str, object] = json.loads(first.removeprefix(b"self.site=").removesuffix(b";"))
    return found


def test_the_service_worker_is_told_every_file_and_a_version_that_changes_with_any() -> None:
    site = build_site(make_bundle())
    told = listing(site)
    assert told["files"] == ["./", *sorted({*APP, "model.edge"} - {"index.html", "service-worker.js"})]
    assert listing(build_site(make_bundle()))["version"] == told["version"]
    assert listing(build_site(make_bundle(labels=("red", "green", "cyan"))))["version"] != told["version"]


def test_coded_models_are_rebuilt_since_a_browser_has_no_codec() -> None:
    plain = Path(edge_sdk_runtime.__file__).with_name("doctor.tflite").read_bytes()
    bundle = changed(make_bundle(), {"classifier.tflite": pack(plain).content})
    assert bundle.manifest.files["classifier.tflite"].rebuilt
    served = Bundle.from_bytes(build_site(bundle).files["model.edge"])
    assert served.members()["classifier.tflite"] == plain
    assert served.manifest.files["classifier.tflite"].rebuilt is None


def test_a_written_site_has_compressed_copies_and_nothing_else(tmp_path: Path) -> None:
    site = build_site(make_bundle())
    size = write_site(site, tmp_path / "deep" / "site")
    written = snapshot(tmp_path / "deep" / "site")
    assert {name: content for name, content in written.items() if not name.endswith(".gz")} == site.files
    assert size == sum(map(len, site.files.values()))
    packed = {name for name in written if name.endswith(".gz")}
    assert "index.html.gz" in packed and not packed & {"icon-192.png.gz", "model.edge.gz"}
    assert all(gzip.decompress(written[name]) == site.files[name.removesuffix(".gz")] for name in packed)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["site"]
    assert site.page_bytes < size


def test_an_earlier_site_is_replaced_as_a_whole_and_kept_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    write_site(build_site(make_bundle()), folder)
    (folder / "left-over.js").write_text("old")
    write_site(build_site(make_bundle(name="newer")), folder)
    before = snapshot(folder)
    assert "left-over.js" not in before and b"newer" in before["index.html"]

    def full(name: str, content: bytes) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site_module, "gzipped", full)
    with pytest.raises(OSError, match="No space left"):
        write_site(build_site(make_bundle(name="newest")), folder)
    assert snapshot(folder) == before and [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(PhoneError, match=r"new or empty folder.*holds other files\. Choose another"):
        write_site(build_site(make_bundle()), tmp_path)
    with pytest.raises(PhoneError, match="a file"):
        write_site(build_site(make_bundle()), tmp_path / "thesis.txt")
    assert snapshot(tmp_path) == {"thesis.txt": b"years of work"}


def test_an_installation_without_the_built_app_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "_APP", tmp_path / "nothing")
    with pytest.raises(PhoneError, match=r"Node\.js.*make phone") as caught:
        build_site(make_bundle())
    assert isinstance(caught.value, EdgeSdkError) and isinstance(caught.value, OSError)
