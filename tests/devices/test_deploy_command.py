"""What a person types: `edge-sdk deploy`, `bench`, `doctor` and `logs`, against a folder of this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edge_sdk.cli.main import main
from edge_sdk_devices.remote_bench import EMULATED, RemoteReport
from edge_sdk_runtime import UsageError
from edge_sdk_runtime.bench import BenchReport
from tests.devices.bundles import colour_bundle

pytestmark = pytest.mark.usefixtures("one_python")


def test_a_bundle_is_deployed_measured_and_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, target = tmp_path / "colours.edge", f"local:{tmp_path / 'home'}"
    colour_bundle().write(bundle)
    assert main(["bench", str(bundle), "--on", target]) == 2
    assert "must have the runtime before it measures" in capsys.readouterr().err
    assert main(["deploy", str(bundle), target, "--environment", sys.prefix]) == 0
    said = capsys.readouterr()
    assert "Verified: 3 golden frames" in said.out and "colours is deployed on local:" in said.out
    assert "verifying it" in said.err
    asked = ["bench", str(bundle), "--on", target, "--runs", "2", "--rounds", "1", "--json"]
    report = tmp_path / "report.json"
    assert main([*asked, "--assert", "p50<1ns", "--save", str(report)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["emulated"] is False and document["measurements"][0]["runs"] == 2
    assert json.loads(report.read_text()) == document
    emulated = RemoteReport("pretended", True, BenchReport.read(report))
    assert str(emulated).startswith(EMULATED) and str(emulated).endswith(EMULATED)
    report.write_text(json.dumps(emulated.document()))
    with pytest.raises(UsageError, match="A report must be"):
        BenchReport.read(report)
    assert main(["doctor", target, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] and found["deployed"]["colours"]["current"] and not found["troubles"]
    assert main(["logs", target]) == 0
    assert " deploy colours " in capsys.readouterr().out


def test_wrong_use_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "colours.edge"
    colour_bundle().write(bundle)
    target = f"local:{tmp_path / 'home'}"
    for arguments, words in (
        (["deploy", str(bundle), target, "--preview", ":8080"], "go with --service"),
        (["deploy", str(tmp_path / "none.edge"), target], "A bundle must be a readable file"),
        (["deploy", str(bundle), target, "--name", "../up"], "A name must be"),
        (["deploy", str(bundle), target, "--rollback"], "The bundle must be deployed. Received: 'colours'"),
        (["deploy", str(bundle), "-oProxyCommand=x"], "No such option"),
        (["logs", target], "There must be something deployed"),
        (["doctor", "ssh://nobody@127.0.0.1:1"], "A device must answer"),
    ):
        assert main(arguments) == 2, arguments
        assert words in capsys.readouterr().err
