"""How it is told what a bundle was taught, or has forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .text import format_ns, format_share, format_table

if TYPE_CHECKING:
    from ..teach import Lesson, Taught

__all__ = ["as_json", "as_text"]


def as_text(path: str, taught: Taught) -> str:
    """A table of the classes, what the others lost, the time, and how to go back."""
    report, manifest = taught.report, taught.bundle.manifest
    lines = [_lessons(taught)] if report.lessons else []
    before = "" if report.before is None else f", {format_share(report.before)} before"
    kind = "held-out remembered" if report.lessons else "remembered"
    lines.append(f"other classes: {format_share(report.remembered)} of their {kind} examples{before}")
    lines.append("time: " + ", ".join(f"{step} {format_ns(spent)}" for step, spent in report.durations_ns.items()))
    if report.dropped_fused:
        lines.append("The fused form, which holds the old classes, is gone: the staged form is the default now.")
    lines.append(
        f"{path} is version {manifest.version}: {', '.join(manifest.labels)}.\nTo go back: edge-run teach {path} --undo"
    )
    return "\n".join(lines)


def _lessons(taught: Taught) -> str:
    rows: list[tuple[str, ...]] = [("class", "", "images", "prototypes", "estimated accuracy")]
    rows += [
        (each.label, "new" if each.new else "known", _images(each), f"+{each.prototypes}", format_share(each.accuracy))
        for each in taught.report.lessons
    ]
    table = format_table(rows)
    if any(each.accuracy is None for each in taught.report.lessons):
        return f"{table}\nOne image cannot be learnt from and held out at once: an estimate needs two or more."
    return f"{table}\nEstimated on {taught.report.held_out} images that the head tried had not seen."


def _images(lesson: Lesson) -> str:
    odd = [f"{count} {what}" for count, what in ((lesson.repeated, "repeated"), (lesson.blank, "blank")) if count]
    return f"{lesson.images} ({', '.join(odd)})" if odd else str(lesson.images)


def as_json(path: str, taught: Taught) -> str:
    """The report as one document."""
    report, manifest = taught.report, taught.bundle.manifest
    document: dict[str, Any] = {
        "bundle": path,
        **report._asdict(),
        "lessons": [lesson._asdict() for lesson in report.lessons],
        "labels": list(manifest.labels),
    }
    return json.dumps(document, ensure_ascii=False, indent=2)
