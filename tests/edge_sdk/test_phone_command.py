"""`edge-sdk phone`, as a person calls it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_sdk.cli import phone
from edge_sdk.cli.main import main
from edge_sdk_runtime import Bundle
from tests.devices.phone.helpers import APP, small_app
from tests.runtime.helpers import make_bundle

Output = pytest.CaptureFixture[str]

SERVING = """
import signal, sys
from pathlib import Path
from edge_sdk.cli.main import main
from edge_sdk_devices.phone import site
site._APP = Path(sys.argv[1])
# Whoever runs the tests in the background may have had SIGINT ignored, which a child inherits.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Path]:
    with small_app(tmp_path / "app"):
        yield tmp_path / "app"


@pytest.fixture
def bundle(tmp_path: Path, app: Path) -> Path:
    make_bundle().write(tmp_path / "colours.edge")
    return tmp_path / "colours.edge"


def test_build_writes_the_site_and_says_what_next(bundle: Path, tmp_path: Path, capsys: Output) -> None:
    assert main(["phone", "build", str(bundle), "-o", str(tmp_path / "site")]) == 0
    assert Bundle.open(tmp_path / "site" / "model.edge").manifest.name == "colours"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path}/site/ is written: 7 files. A phone loads ")
    assert lines[-1].endswith(f"phone serve {bundle} --tls")
    assert main(["phone", "build", str(bundle), "-o", str(tmp_path / "site"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == len(APP) + 1 and document["page_compressed_bytes"] < document["bytes"]


def test_serve_answers_until_interrupted(bundle: Path, app: Path) -> None:
    command = [sys.executable, "-c", SERVING, str(app), "phone", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert first.startswith("colours is served at http://127.0.0.1:") and "Ctrl-C" in first
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(first.split()[4]).port, timeout=30)
        connection.request("GET", "/model.edge")
        assert connection.getresponse().read() == bundle.read_bytes()
        connection.close()
        os.kill(server.pid, signal.SIGINT)
        rest, errors = server.communicate(timeout=120)
    assert (server.returncode, errors) == (0, "") and rest.endswith("Stopped.\n")


def test_serve_over_tls_says_what_the_phone_will_ask(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(phone, "_wait", lambda: None)
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["phone", "serve", str(bundle), "--tls", "--address", "127.0.0.1", "--port", "0"]) == 0
    printed = capsys.readouterr().out
    assert "colours is served at https://127.0.0.1:" in printed
    assert printed.count("█") > 50, "a code to scan"
    for word in ("Everybody in this network", "Proceed", "visit this website", "Fingerprint", "may use the camera"):
        assert word in printed
    certificate = str(tmp_path / "cache" / "certificates" / "127.0.0.1.pem")
    given = ["--certificate", certificate, "--key", certificate, "--address", "127.0.0.1", "--port", "0"]
    assert main(["phone", "serve", str(bundle), "--tls", *given]) == 0
    assert "Fingerprint" not in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--address", "127.0.0.1"], ["--tls", "--key", "key.pem"], ["--port", "65536"]])
def test_options_that_do_not_go_together_are_refused(bundle: Path, options: list[str], capsys: Output) -> None:
    assert main(["phone", "serve", str(bundle), *options]) == 2
    assert "Invalid value" in capsys.readouterr().err


def test_what_is_no_bundle_is_refused_and_nothing_is_written(app: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "other.edge").write_bytes(b"other")
    assert main(["phone", "build", str(tmp_path / "other.edge"), "-o", str(tmp_path / "site")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("edge-sdk: A bundle must be a whole .edge file.") and captured.err.count("\n") == 1
    assert not (tmp_path / "site").exists()
