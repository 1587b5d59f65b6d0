"""A person's way to a board, on an emulated one: what is installed, computed, measured and taught there is arm64's.

The tests stand in the order in which a person goes, and the later ones need what the earlier ones did.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk.cli.main import main
from edge_sdk_devices.checkup import check_up
from edge_sdk_devices.deploy import Deployment, DeployPlan, deploy
from edge_sdk_devices.emulation import EmulatedPi, Interpreter
from edge_sdk_devices.errors import DeployError
from edge_sdk_devices.logs import read_logs
from edge_sdk_devices.remote_bench import EMULATED
from edge_sdk_devices.transports import ShellTransport
from edge_sdk_runtime import Bundle, Classifier
from edge_sdk_runtime.bench import BenchReport
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.errors import UsageError
from tests.end_to_end.bundles import digits_bundle, write_digit

pytestmark = pytest.mark.emulation


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolutions in int8, trained briefly."""
    path = tmp_path_factory.mktemp("bundles") / "digits.edge"
    digits_bundle().write(path)
    return path


@pytest.fixture(scope="module")
def deployed(transport: ShellTransport, bundle: Path, wheels: Path) -> Deployment:
    return deploy(DeployPlan(bundle, wheelhouse=wheels), transport)


def there(transport: ShellTransport, deployed: Deployment, *words: str) -> Any:
    """What `edge-run` answers on the board, as JSON."""
    done = transport.run(f"{deployed.environment}/bin/edge-run {' '.join(words)} --json", timeout=300)
    assert done.status == 0, done.errors
    return json.loads(done.text)


def test_a_clean_board_is_a_raspberry_pi_that_says_what_it_is(transport: ShellTransport, board: EmulatedPi) -> None:
    found = check_up(transport)
    facts = found.probe.facts
    assert found.healthy and found.emulated and found.state is not None and not found.state.bundles
    assert (facts.machine, facts.bits, facts.system) == ("aarch64", 64, "debian 12")
    assert facts.model == "Raspberry Pi 4 Model B, emulated by QEMU" and found.probe.profile.name == "raspberry-pi-4"
    assert found.probe.usable_system.name == "raspberry-pi-os-bookworm-64"
    said = transport.run("uname -m; command -v python3; echo $HOME; env | wc -l; pip --version").text.splitlines()
    assert said[:2] == ["aarch64", str(board.python)] and said[2] == found.probe.home and int(said[3]) < 12
    assert said[4].startswith("pip 23") and str(board.sysroot) in said[4]


def test_a_bundle_is_deployed_and_verified_there(
    transport: ShellTransport, deployed: Deployment, bundle: Path, tmp_path: Path
) -> None:
    assert deployed.emulated and deployed.changed and deployed.board.startswith("Raspberry Pi 4")
    assert deployed.verified.startswith("Verified: ") and "litert 2.3.0" in deployed.verified
    digit = tmp_path / "digit.png"
    label = write_digit(digit)
    transport.put(digit, "digit.png")
    with Classifier.load(bundle) as classifier:
        here = classifier.classify(cv2.imread(str(digit)))
    (answer,) = there(transport, deployed, "classify", deployed.path, "digit.png")
    assert answer["label"] == label and answer["score"] == pytest.approx(here.score, abs=0.08)


def test_a_second_time_nothing_changes(transport: ShellTransport, deployed: Deployment, bundle: Path) -> None:
    again = deploy(DeployPlan(bundle), transport)
    assert not again.changed and again.release == deployed.release and again.environment == deployed.environment
    found = check_up(transport)
    rows = dict(found.rows())
    assert found.healthy, found.troubles
    assert rows["litert"] == "2.3.0" and rows["numpy"] == "1.26.4" and deployed.release in rows["bundle digits"]


@pytest.mark.usefixtures("deployed")
def test_its_figures_are_marked_and_mix_with_no_others(
    target: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    asked = ["bench", str(bundle), "--on", target, "--runs", "20", "--rounds", "1"]
    assert main([*asked, "--save", str(report)]) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith(EMULATED) and said.endswith(EMULATED) and "emulated by QEMU: Cortex-A72" in said
    document = json.loads(report.read_text())
    assert document["emulated"] is True and document["report"]["measurements"][0]["runs"] == 20
    with pytest.raises(UsageError, match="A report must be"):
        BenchReport.read(report)
    assert main([*asked, "--assert", "p50<1s"]) == 2
    assert "An assertion must be about a real board" in capsys.readouterr().err


def test_a_class_is_taught_there(transport: ShellTransport, deployed: Deployment) -> None:
    chance = np.random.default_rng(3)
    for number in range(6):
        stripes = np.tile(np.array([[0], [250]], np.uint8), (4, 8)) + chance.integers(0, 5, (8, 8), np.uint8)
        transport.put(cv2.imencode(".png", stripes)[1].tobytes(), f"stripes/{number}.png")
    assert transport.run(f"cp {deployed.path} mine.edge").status == 0
    there(transport, deployed, "teach", "mine.edge", "--label", "stripes", "--images", "stripes")
    (answer,) = there(transport, deployed, "classify", "mine.edge", "stripes/0.png")
    assert answer["label"] == "stripes"
    assert transport.run(f"{deployed.environment}/bin/edge-run verify mine.edge").status == 0
    assert check_up(transport).healthy  # what was deployed is as it was


def test_a_broken_bundle_is_taken_away_and_the_one_before_goes_on(
    transport: ShellTransport, deployed: Deployment, bundle: Path, tmp_path: Path
) -> None:
    whole = Bundle.open(bundle)
    with np.load(io.BytesIO(whole.read(GOLDEN))) as golden:
        arrays = dict(golden)
    arrays["expected_scores"] = arrays["expected_scores"][:, ::-1]
    changed = io.BytesIO()
    np.savez_compressed(changed, allow_pickle=False, **arrays)
    broken = tmp_path / "digits.edge"
    Bundle.build(whole.manifest, {**whole.members(), GOLDEN: changed.getvalue()}).write(broken)
    with pytest.raises(DeployError, match=rf"must verify on the device.*release {deployed.release} goes on"):
        deploy(DeployPlan(broken), transport)
    assert transport.get(deployed.path) == bundle.read_bytes()
    assert "refused digits" in read_logs(transport) and check_up(transport).healthy


def test_the_other_interpreter_verifies_it_too(transport: ShellTransport, bundle: Path, board: EmulatedPi) -> None:
    assert board.environment(Interpreter.TFLITE_RUNTIME).exists()
    done = deploy(DeployPlan(bundle, name="older", environment="~/edge-tflite-runtime"), transport)
    assert done.verified.startswith("Verified: ") and "tflite-runtime 2.14.0" in done.verified
