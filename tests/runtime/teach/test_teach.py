import dataclasses

import numpy as np
import pytest

from edge_sdk_runtime import (
    Bundle,
    Classifier,
    FrameError,
    MlpHead,
    Similarity,
    UsageError,
    VerificationError,
    teach,
    verify,
)
from edge_sdk_runtime.manifest import FusedForm, TaughtClass
from edge_sdk_runtime.memory import FeatureMemory
from edge_sdk_runtime.verify import GoldenVectors
from tests.runtime.helpers import FAKE_FILES, changed, fake_plug, npz, plain
from tests.runtime.teach.helpers import (
    COLOURS,
    CYAN,
    GOLDEN,
    PLUG,
    YELLOW,
    flat,
    frames,
    teachable,
    without_memory,
)


def labels_of(bundle: Bundle, colour: tuple[int, int, int], count: int = 20) -> list[str]:
    with Classifier(bundle, interpreter=PLUG) as classifier:
        return [classifier.classify(frame).label for frame in frames(colour, count, 9)]


def share(bundle: Bundle, label: str, colour: tuple[int, int, int]) -> float:
    return float(np.mean([found == label for found in labels_of(bundle, colour)]))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return teachable()


@pytest.fixture(scope="module")
def taught(bundle: Bundle) -> teach.Taught:
    return teach.teach(bundle, "yellow", frames(YELLOW, 20), interpreter=PLUG)


def test_public_names() -> None:
    assert teach.__all__ == [
        "KEPT_VERSIONS",
        "Lesson",
        "Taught",
        "TeachReport",
        "Told",
        "forget",
        "forget_file",
        "kept_versions",
        "teach",
        "teach_classes",
        "teach_file",
        "undo_file",
        "version_path",
    ]


def test_a_new_class_is_known_and_the_old_ones_still_are(bundle: Bundle, taught: teach.Taught) -> None:
    assert taught.bundle.manifest.labels == ("red", "green", "blue", "yellow")
    for label, colour in {**COLOURS, "yellow": YELLOW}.items():
        assert share(taught.bundle, label, colour) >= 0.95
    assert set(labels_of(bundle, YELLOW)) <= set(COLOURS)


def test_the_new_bundle_is_proven_and_counts_on(bundle: Bundle, taught: teach.Taught) -> None:
    assert verify(taught.bundle, PLUG).passed
    manifest = taught.bundle.manifest
    assert (bundle.manifest.version, manifest.version) == (1, 2)
    assert manifest.taught == (TaughtClass("yellow", 20, 1, taught.report.lessons[0].accuracy),)
    assert manifest.measured.accuracy is None
    assert manifest.provenance["measured_before_teaching"] == "75.00% of 8 held-out images (plain frames)"
    assert manifest.staged.prototype_labels == (0, 1, 2, 3)
    before, after = GoldenVectors.of(bundle), GoldenVectors.of(taught.bundle)
    for stage in ("preprocess", "embed"):
        np.testing.assert_array_equal(before.expected[stage], after.expected[stage])
    assert after.expected["similarity"].shape == after.expected["scores"].shape == (4, 4)


def test_the_report_says_what_was_learnt_and_how_well(taught: teach.Taught) -> None:
    report = taught.report
    (lesson,) = report.lessons
    assert (lesson.label, lesson.new, lesson.images, lesson.repeated, lesson.blank) == ("yellow", True, 20, 0, 0)
    assert lesson.accuracy is not None and lesson.accuracy >= 0.8
    assert (report.version, report.held_out, report.dropped_fused) == (2, 20, False)
    assert report.remembered is not None and report.remembered >= 0.9 and report.before == 1
    assert list(report.durations_ns) == ["read", "embed", "estimate", "learn", "calibrate", "prove"]
    assert all(spent >= 0 for spent in report.durations_ns.values())


def test_the_weights_are_counted_anew(bundle: Bundle, taught: teach.Taught) -> None:
    def weights(each: Bundle) -> int:
        head = MlpHead.from_bytes(each.read("head.npz"))
        return sum(a.size for a in (*head.kernels, *head.biases)) + each.read_arrays("prototypes.npy")[""].size

    change = weights(taught.bundle) - weights(bundle)
    assert taught.bundle.manifest.measured.parameters == bundle.manifest.measured.parameters + change


def test_the_same_images_give_the_same_bundle_and_the_one_that_came_is_as_it_was(bundle: Bundle) -> None:
    before = bundle.to_bytes()
    one, other = (teach.teach(bundle, "yellow", frames(YELLOW, 6), interpreter=PLUG).bundle for _ in range(2))
    assert one.to_bytes() == other.to_bytes()
    assert bundle.to_bytes() == before


def test_unknown_colours_become_known_by_teaching_and_others_stay_unknown(bundle: Bundle, taught: teach.Taught) -> None:
    def flagged(each: Bundle, colour: tuple[int, int, int]) -> float:
        with Classifier(each, interpreter=PLUG) as classifier:
            return float(np.mean([classifier.classify(frame).unknown for frame in frames(colour, 30, 9)]))

    assert flagged(bundle, YELLOW) >= 0.9 and flagged(taught.bundle, YELLOW) <= 0.1
    assert flagged(taught.bundle, CYAN) >= 0.9
    assert max(flagged(taught.bundle, colour) for colour in COLOURS.values()) <= 0.1


@pytest.mark.parametrize("measure", list(Similarity))
def test_every_measure_can_be_taught(measure: Similarity) -> None:
    following = teach.teach(teachable(measure), "yellow", frames(YELLOW, 12), interpreter=PLUG).bundle
    assert share(following, "yellow", YELLOW) >= 0.9


def test_several_classes_at_once_and_several_prototypes(bundle: Bundle) -> None:
    shown = {"yellow": frames(YELLOW, 12), "cyan": frames(CYAN, 12)}
    following = teach.teach_classes(bundle, shown, prototypes=3, interpreter=PLUG)
    assert following.bundle.manifest.labels[3:] == ("yellow", "cyan")
    assert following.bundle.manifest.staged.prototype_labels == (0, 1, 2, 3, 3, 3, 4, 4, 4)
    assert share(following.bundle, "yellow", YELLOW) >= 0.9 and share(following.bundle, "cyan", CYAN) >= 0.9
    assert following.bundle.manifest.version == 2


def test_a_label_that_exists_gets_more_examples(bundle: Bundle, taught: teach.Taught) -> None:
    again = teach.teach(taught.bundle, "yellow", frames((180, 180, 60), 10), interpreter=PLUG)
    assert again.bundle.manifest.labels == taught.bundle.manifest.labels
    assert not again.report.lessons[0].new
    assert (FeatureMemory.of(again.bundle).labels == 3).sum() == 30
    record = again.bundle.manifest.taught[0]
    assert (record.label, record.images, record.prototypes) == ("yellow", 30, 2)
    assert share(again.bundle, "yellow", (180, 180, 60)) >= 0.9
    known = teach.teach(bundle, "red", frames((170, 60, 60), 10), interpreter=PLUG)
    assert known.bundle.manifest.labels == bundle.manifest.labels
    assert share(known.bundle, "red", (170, 60, 60)) >= 0.9


def test_the_memory_of_a_class_does_not_grow_for_ever(bundle: Bundle) -> None:
    following = teach.teach(bundle, "yellow", frames(YELLOW, 90), interpreter=PLUG)
    assert (FeatureMemory.of(following.bundle).labels == 3).sum() == 64
    assert following.report.held_out == 68  # three quarters: enough


def test_one_image_is_enough_but_nothing_can_be_held_out(bundle: Bundle) -> None:
    following = teach.teach(bundle, "yellow", frames(YELLOW, 1), interpreter=PLUG)
    assert following.report.lessons[0].accuracy is None and following.report.held_out == 0
    assert following.bundle.manifest.taught[0].accuracy is None
    assert share(following.bundle, "yellow", YELLOW) >= 0.5


def test_identical_images_are_one_example(bundle: Bundle) -> None:
    following = teach.teach(bundle, "yellow", [plain(*YELLOW)] * 8, interpreter=PLUG)
    lesson = following.report.lessons[0]
    assert (lesson.images, lesson.repeated, lesson.accuracy) == (8, 7, None)
    assert (FeatureMemory.of(following.bundle).labels == 3).sum() == 1


def test_blank_images_are_counted_and_left_out(bundle: Bundle) -> None:
    following = teach.teach(bundle, "yellow", [plain(0, 0, 0), *frames(YELLOW, 4)], interpreter=PLUG)
    assert following.report.lessons[0].blank == 1
    with pytest.raises(UsageError, match=r"must show something\. Received: 2 of 'yellow' whose embedding is zero"):
        teach.teach(bundle, "yellow", [plain(0, 0, 0)] * 2, interpreter=PLUG)


def test_no_images_and_no_frames_are_refused(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=r"at least one image\. Received: none for 'yellow'"):
        teach.teach(bundle, "yellow", [], interpreter=PLUG)
    with pytest.raises(UsageError, match=r"Received: 0 classes and 1 prototypes"):
        teach.teach_classes(bundle, {}, interpreter=PLUG)
    with pytest.raises(FrameError):
        teach.teach(bundle, "yellow", [np.zeros((4, 4), np.uint8)], interpreter=PLUG)


@pytest.mark.parametrize(("count", "prototypes"), [(2, 3), (3, 0)])
def test_fewer_images_than_prototypes_are_refused(bundle: Bundle, count: int, prototypes: int) -> None:
    with pytest.raises(UsageError, match="prototype"):
        teach.teach(bundle, "yellow", frames(YELLOW, count), prototypes=prototypes, interpreter=PLUG)


def test_an_encoder_that_gives_nan_is_refused(bundle: Bundle) -> None:
    broken = fake_plug(encoder=lambda image: np.full((1, 3), np.nan))
    with pytest.raises(UsageError, match=r"Embeddings must be finite\. Received: NaN or infinity for an image of 'x'"):
        teach.teach(bundle, "x", frames(YELLOW, 2), interpreter=broken)


def test_labels_may_have_spaces_and_any_letters(bundle: Bundle) -> None:
    label = "große blaue Tasse 杯"
    following = teach.teach(bundle, label, frames(YELLOW, 3), interpreter=PLUG).bundle
    assert Bundle.from_bytes(following.to_bytes()).manifest.labels[-1] == label


@pytest.mark.parametrize("label", ["", " mug", "a/b", "tab\t"])
def test_what_is_no_label_is_refused(bundle: Bundle, label: str) -> None:
    with pytest.raises(UsageError, match="A label must"):
        teach.teach(bundle, label, frames(YELLOW, 2), interpreter=PLUG)


def test_a_bundle_without_memory_or_staged_form_says_why_it_cannot_be_taught(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=r"needs a feature memory.*without --no-memory: edge-sdk compress"):
        teach.teach(without_memory(bundle), "yellow", frames(YELLOW, 2), interpreter=PLUG)
    fused = Bundle.build(
        dataclasses.replace(
            bundle.manifest, staged=None, unknown=None, fused=FusedForm("classifier.tflite"), default_form="fused"
        ),
        {"classifier.tflite": FAKE_FILES["classifier.tflite"], GOLDEN: bundle.read(GOLDEN)},
    )
    with pytest.raises(
        UsageError, match=r"needs the staged form.*Run: edge-sdk compress MODEL --data DATA --form staged"
    ):
        teach.forget(fused, "red", interpreter=PLUG)


def test_the_fused_form_holds_the_old_classes_and_goes(bundle: Bundle) -> None:
    with_fused = changed(
        bundle,
        {"classifier.tflite": FAKE_FILES["classifier.tflite"]},
        fused=FusedForm("classifier.tflite"),
        default_form="fused",
    )
    following = teach.teach(with_fused, "yellow", frames(YELLOW, 3), interpreter=PLUG)
    assert following.report.dropped_fused
    assert (following.bundle.manifest.forms, following.bundle.manifest.default_form) == (("staged",), "staged")
    assert "classifier.tflite" not in following.bundle.members()


def test_a_head_that_is_a_model_is_replaced_by_one_that_can_be_trained(bundle: Bundle) -> None:
    form = dataclasses.replace(bundle.manifest.staged, head="head.tflite")
    members = {name: content for name, content in bundle.members().items() if name != "head.npz"}
    with_model = Bundle.build(
        dataclasses.replace(bundle.manifest, staged=form), {**members, "head.tflite": FAKE_FILES["head.tflite"]}
    )
    following = teach.teach(with_model, "yellow", frames(YELLOW, 12), interpreter=PLUG)
    assert following.bundle.manifest.staged.head == "head.npz" and "head.tflite" not in following.bundle.members()
    assert following.report.before is None and following.bundle.manifest.measured.parameters is None
    assert share(following.bundle, "yellow", YELLOW) >= 0.9


def test_a_head_without_a_hidden_layer_gets_one(bundle: Bundle) -> None:
    linear = MlpHead((np.eye(3, dtype=np.float32) * 20,), (np.zeros(3, np.float32),))
    following = teach.teach(
        changed(bundle, {"head.npz": linear.to_bytes()}), "yellow", frames(YELLOW, 12), interpreter=PLUG
    )
    assert len(MlpHead.from_bytes(following.bundle.read("head.npz")).kernels) == 2
    assert share(following.bundle, "yellow", YELLOW) >= 0.9 and share(following.bundle, "red", COLOURS["red"]) >= 0.9


def test_a_device_that_computes_other_embeddings_teaches_nothing(bundle: Bundle) -> None:
    golden = {name: array.copy() for name, array in bundle.read_arrays(GOLDEN).items()}
    golden["expected_embed"] = golden["expected_embed"] + 1
    with pytest.raises(VerificationError, match=r"Received: staged embed differs by 1 with fake"):
        teach.teach(changed(bundle, {GOLDEN: npz(golden)}), "yellow", frames(YELLOW, 3), interpreter=PLUG)


def test_a_bundle_without_an_encoder_is_taught_without_an_interpreter() -> None:
    following = teach.teach(flat(), "yellow", frames(YELLOW, 8))
    assert following.bundle.manifest.staged.encoder is None
    with Classifier(following.bundle) as classifier:
        assert np.mean([classifier.classify(frame).label == "yellow" for frame in frames(YELLOW, 20, 9)]) >= 0.9


def test_forgetting_takes_a_class_out_of_everything(taught: teach.Taught) -> None:
    left = teach.forget(taught.bundle, "green", interpreter=PLUG)
    manifest = left.bundle.manifest
    assert manifest.labels == ("red", "blue", "yellow") and manifest.staged.prototype_labels == (0, 1, 2)
    assert (manifest.version, left.report.lessons) == (3, ())
    assert left.report.remembered is not None and left.report.remembered >= 0.95
    assert set(FeatureMemory.of(left.bundle).labels) == {0, 1, 2}
    assert MlpHead.from_bytes(left.bundle.read("head.npz")).outputs == 3
    assert len(manifest.unknown.thresholds) == 3
    assert manifest.taught == taught.bundle.manifest.taught
    for label, colour in {"red": COLOURS["red"], "blue": COLOURS["blue"], "yellow": YELLOW}.items():
        assert share(left.bundle, label, colour) >= 0.95
    without = teach.forget(taught.bundle, "yellow", interpreter=PLUG).bundle.manifest
    assert (without.labels, without.taught) == (("red", "green", "blue"), ())


def test_what_cannot_be_forgotten_is_said(taught: teach.Taught) -> None:
    with pytest.raises(UsageError, match=r"must be one of red, green, blue, yellow\. Received: 'grün'"):
        teach.forget(taught.bundle, "grün", interpreter=PLUG)
    two = teach.forget(teach.forget(taught.bundle, "yellow", interpreter=PLUG).bundle, "red", interpreter=PLUG).bundle
    assert two.manifest.labels == ("green", "blue")
    with pytest.raises(UsageError, match=r"at least 2 classes\. Received: 'blue' to forget, one of 2"):
        teach.forget(two, "blue", interpreter=PLUG)
    three = teach.teach(two, "yellow", frames(YELLOW, 4), interpreter=PLUG).bundle
    assert three.manifest.labels == ("green", "blue", "yellow")


def test_progress_is_told(bundle: Bundle) -> None:
    told: list[tuple[str, int, int]] = []
    shown = frames(YELLOW, 3)
    teach.teach(bundle, "yellow", shown, interpreter=PLUG, told=lambda *what: told.append(what))
    assert told[:3] == [("yellow: embed", done, 3) for done in (1, 2, 3)]
    assert told[3:] and all(what == "try on held-out images" for what, _, _ in told[3:])
    told.clear()
    teach.teach(bundle, "yellow", iter(shown), interpreter=PLUG, told=lambda *what: told.append(what))
    assert told[0] == ("yellow: embed", 1, 3)  # a list's iterator knows how much is left
