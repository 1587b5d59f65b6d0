"""`edge-sdk devices`: what the SDK knows about boards, and how fast a bundle can be there at best."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import say
from .options import Json

if TYPE_CHECKING:
    from edge_sdk_devices.profile import Latency, Profile
    from edge_sdk_devices.roofline import LowerBound
    from edge_sdk_devices.systems import System

__all__ = ["app"]

app = typer.Typer(
    help="Boards that the SDK knows: what they are, what pip installs there, how fast they can be at best."
)


@app.command("list")
def list_devices(as_json: Json = False) -> None:
    """The profiles that come with the SDK."""
    from edge_sdk_devices.profile import known_profiles
    from edge_sdk_runtime.cli.text import format_table

    profiles = list(known_profiles().values())
    if as_json:
        say(json.dumps([_plain(profile) for profile in profiles], ensure_ascii=False, indent=2))
        return
    rows = [("device", "what", "processor", "interpreters")]
    rows += [(each.name, each.title, _processor(each), ", ".join(map(str, each.runtimes))) for each in profiles]
    say(format_table(rows), "edge-sdk devices show DEVICE tells all of it; without DEVICE, of this machine.")


@app.command()
def show(
    device: Annotated[
        str | None, typer.Argument(help="A profile's name or TOML file (default: this machine).", show_default=False)
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="An .edge file: how fast it can be there at best.", show_default=False)
    ] = None,
    form: Annotated[str | None, typer.Option(help="staged or fused (default: the bundle's own).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads (default: the profile's).")] = None,
    constraints: Annotated[
        str | None,
        typer.Option(metavar="SYSTEM", help="Print the constraint file of one of its systems, and nothing else."),
    ] = None,
    as_json: Json = False,
) -> None:
    """One device: processor, memory, what pip installs on each of its systems, cameras, published latencies.

    With --bundle, the least latency that its hardware allows: a lower bound and an estimate, nothing measured.
    """
    profile = _profile(device)
    if constraints:
        say(profile.system(constraints).constraints_text().rstrip("\n"))
        return
    bound = _bound(bundle, profile, form, threads) if bundle else None
    if as_json:
        document = {**_plain(profile), **({"lower_bound": _bound_document(bound, bundle)} if bound else {})}
        say(json.dumps(document, ensure_ascii=False, indent=2))
        return
    say(*_profile_lines(profile))
    if bound:
        say("", f"{bundle}: {bound}", "", _layers_table(bound))


def _profile(device: str | None) -> Profile:
    from edge_sdk_devices.detect import detect, local_facts, refined
    from edge_sdk_devices.profile import load_profile

    here = local_facts()
    if device is None:
        return refined(detect(here), here)
    profile = load_profile(device)
    # A generic profile is empty until a machine fills it; this one may, where it is of that kind.
    same = profile.cpu.cores is None and profile.name == detect(here).name
    return refined(profile, here) if same else profile


def _bound(bundle: Path, profile: Profile, form: str | None, threads: int | None) -> LowerBound:
    from edge_sdk_devices.costs import bundle_costs
    from edge_sdk_devices.roofline import lower_bound
    from edge_sdk_runtime import Bundle

    return lower_bound(bundle_costs(Bundle.open(bundle), form), profile, threads)


def _profile_lines(profile: Profile) -> list[str]:
    lines = [
        f"{profile.title} ({profile.name})",
        f"  processor  {_processor(profile)}",
        f"  memory     {_memory(profile)}",
    ]
    lines += [f"  at most    {_peaks(profile)}"] if _has_peaks(profile) else []
    lines += [f"  threads    {profile.threads}, unless asked otherwise"]
    lines += [f"  camera     {camera}" for camera in profile.cameras]
    lines += [f"  heat       {note}" for note in profile.thermal]
    lines += [line for system in profile.systems for line in ("", *_system_lines(system))]
    if any(system.os_release for system in profile.systems):
        lines += [
            "",
            f"Those files: edge-sdk devices show {profile.name} --constraints SYSTEM > constraints-SYSTEM.txt",
        ]
    lines += ["", *map(_latency_line, profile.latencies)] if profile.latencies else []
    sources = (profile.cpu.source, profile.memory.source, profile.roofline.source if profile.roofline else "")
    lines += ["", *(f"From {source}." for source in sources if source)]
    return lines if any(sources) else lines[:-1]


def _system_lines(system: System) -> list[str]:
    if system.trouble:
        return [f"{system.title} ({system.name}): not supported: {system.trouble}"]
    facts = [f"Python {' or '.join(system.pythons)}"] if system.pythons else []
    facts += [f"glibc {system.glibc}"] if system.glibc else []
    head = f"{system.title} ({system.name}): {', '.join([*facts, str(system.runtime)])}"
    return [head, *(f"  {line}" for line in system.commands), *(f"  {note}" for note in system.notes)]


def _processor(profile: Profile) -> str:
    cpu = profile.cpu
    cores = f"{cpu.cores} × " if cpu.cores else ""
    clock = f", {cpu.clock_mhz / 1000:g} GHz" if cpu.clock_mhz else ""
    return f"{cores}{cpu.name}{clock}, {cpu.architecture.value}"


def _memory(profile: Profile) -> str:
    memory = profile.memory
    *sizes, last = [f"{size / 1024:.3g}" for size in memory.sizes_mb] or [""]
    parts = [f"{' or '.join(filter(None, (', '.join(sizes), last)))} GB"] if last else []
    parts += [memory.kind] if memory.kind else []
    parts += [f"at most {memory.bandwidth_gb_s:g} GB/s"] if memory.bandwidth_gb_s else []
    parts += [f"{memory.cache_kb:,} KiB of caches"] if memory.cache_kb else []
    return "; ".join(parts) or "differs"


def _has_peaks(profile: Profile) -> bool:
    clocks = (profile.cpu.clock_mhz, profile.roofline and profile.roofline.clock_mhz)
    return bool(profile.roofline and profile.cpu.cores and any(clocks))


def _peaks(profile: Profile) -> str:
    from edge_sdk_devices.hardware import Arithmetic
    from edge_sdk_devices.roofline import peak_macs_per_s

    cores = profile.cpu.cores or 1
    peaks = (
        f"{kind.value} {peak_macs_per_s(profile, kind, 1) / 1e9:.4g} G per core, "
        f"{peak_macs_per_s(profile, kind, cores) / 1e9:.4g} G on all"
        for kind in Arithmetic
    )
    return f"{'; '.join(peaks)} (multiply-accumulates a second)"


def _latency_line(latency: Latency) -> str:
    return (
        f"Published: {latency.model}, {latency.arithmetic.value}, {latency.threads} threads: {latency.milliseconds:g} ms "
        f"with {latency.software} ({latency.source})"
    )


def _layers_table(bound: LowerBound) -> str:
    from edge_sdk_runtime.cli.text import format_table

    rows = [("layer", "operator", "multiply-accumulates", "weights", "at least µs", "bound by")]
    rows += [
        (
            each.cost.name,
            each.cost.operator,
            f"{each.cost.macs:,}",
            f"{each.cost.weight_bytes:,} B",
            f"{each.seconds * 1e6:.3g}",
            each.bound_by.value,
        )
        for each in bound.layers
        if each.cost.macs
    ]
    return format_table(rows)


def _bound_document(bound: LowerBound, bundle: Path | None) -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "statement": str(bound),
        "estimate": True,
        "seconds": bound.seconds,
        "bound_by": bound.bound_by.value,
        "memory_counted": bound.memory_counted,
        "threads": bound.threads,
        "layers": [_plain(layer) for layer in bound.layers],
    }


def _plain(record: Any) -> dict[str, Any]:
    """A dataclass as JSON can say it."""
    return dataclasses.asdict(
        record,
        dict_factory=lambda pairs: {key: value.value if isinstance(value, Enum) else value for key, value in pairs},
    )
