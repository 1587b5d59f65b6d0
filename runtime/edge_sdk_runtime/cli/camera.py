"""`edge-run camera`: label, score and time per stage of what a camera sees, as long as it sees something."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import CameraError, EdgeRuntimeError
from .processors import add_cpus_option, use_chosen_cpus

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..live import Limits, Seen
    from .live_view import LiveView
    from .signals import StopSignals

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    from .camera_options import add_camera_options

    parser = verbs.add_parser(
        "camera", parents=[common], help="classify what a camera sees: label, score, age of the frame, time per stage"
    )
    parser.add_argument("bundle", help="an .edge file")
    add_camera_options(parser)
    parser.add_argument("--frames", type=int, metavar="N", help="end after N frames")
    parser.add_argument(
        "--preview",
        metavar="[HOST]:PORT",
        help="serve a page with picture, scores and latencies; for other devices 0.0.0.0:PORT, with a token in its address",
    )
    parser.add_argument("--record", metavar="FILE.csv", help="write every classification to a new CSV file")
    parser.add_argument("--trace", metavar="FILE.json", help="write a trace that Perfetto and chrome://tracing open")
    parser.add_argument("--region", metavar="L,T,W,H", help="the part to look at, in shares of the frame from 0 to 1")
    parser.add_argument("--form", choices=("staged", "fused"), help="inference form (default: the bundle's own)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="interpreter threads (default 1)")
    add_cpus_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from .camera_options import camera_limits
    from .live_view import LiveView
    from .signals import StopSignals

    limits = camera_limits(options, options.frames)
    use_chosen_cpus(options)
    with StopSignals() as stop, _classifier(options) as classifier:
        classifier.warm_up()
        view = LiveView(classifier, sys.stdout, as_json=options.json)
        failure = _watch(options, limits, classifier, view, stop)
    if failure is not None:
        raise failure
    return stop.status


def _classifier(options: argparse.Namespace) -> Classifier:
    from ..classifier import Classifier
    from ..geometry import Region

    return Classifier.load(
        options.bundle,
        form=options.form,
        interpreter=options.interpreter,
        threads=options.threads,
        region=Region.parse(options.region) if options.region else None,
    )


def _watch(
    options: argparse.Namespace, limits: Limits, classifier: Classifier, view: LiveView, stop: StopSignals
) -> Exception | None:
    """Classify until it ends, show the figures, and give back what ended it badly: what was seen is told and kept first."""
    from ..live import RateMeter, Seen, frames_until
    from .camera_options import opened_camera

    failure: Exception | None = None
    rate = RateMeter()
    with contextlib.ExitStack() as stack:
        sinks = [*_sinks(stack, options, classifier), view.add]
        camera = stack.enter_context(opened_camera(options))
        try:
            for frame in frames_until(camera, limits, stop.stopped):
                result = classifier.classify(frame.image, frame.captured_ns)
                seen = Seen(frame, result, rate.tick(), camera.counts)
                for sink in sinks:
                    sink(seen)
        except (EdgeRuntimeError, OSError) as error:
            failure = error
    view.end(camera.counts)
    if not (view.frames or failure or stop.stopped()):
        return CameraError(
            f"A camera must give at least one readable frame. Received: none from {camera.address}. Check it, or wait longer."
        )
    return failure


def _sinks(
    stack: contextlib.ExitStack, options: argparse.Namespace, classifier: Classifier
) -> list[Callable[[Seen], None]]:
    """Whatever else is told of every classification; opened here, closed with the stack."""
    sinks: list[Callable[[Seen], None]] = []
    if options.trace:
        from ..trace import TraceFile

        trace = stack.enter_context(TraceFile(options.trace))
        sinks.append(lambda seen: trace.add(seen.result))
    if options.record:
        from ..record import recording

        sinks.append(stack.enter_context(recording(options.record, classifier.pipeline.stages)))
    if options.preview:
        sinks.append(_preview(stack, options, classifier))
    return sinks


def _preview(
    stack: contextlib.ExitStack, options: argparse.Namespace, classifier: Classifier
) -> Callable[[Seen], None]:
    from ..cameras import parse_source
    from ..preview import Preview, PreviewAddress, PreviewState

    address = PreviewAddress.parse(options.preview)
    state = PreviewState(classifier.bundle.manifest.name, str(parse_source(options.source)), classifier.clock)
    preview = stack.enter_context(Preview(state, address))
    print(f"Preview: {preview.url}", file=sys.stderr)
    if address.is_loopback:
        print(f"For other devices: --preview 0.0.0.0:{address.port}", file=sys.stderr)
    return state.publish
