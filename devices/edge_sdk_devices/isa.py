"""The most that a core of a PC can compute, from the instruction sets that it names: an upper bound for every such processor.

No x86-64 core so far starts more than two vector instructions with products per cycle (Intel 64 and IA-32 Architectures
Optimization Reference Manual; AMD's Software Optimization Guides; measured at uops.info), so the widest one it has, twice, bounds
it. A core that computes its widest vectors in two halves reaches half of that.
"""

from __future__ import annotations

from collections.abc import Collection

from .hardware import Roofline

__all__ = ["HIGHEST_CLOCK_MHZ", "x86_roofline"]

HIGHEST_CLOCK_MHZ = 6200
"""The highest clock that an x86-64 processor has been sold with (Intel Core i9-14900KS, 2024): for one that does not tell its own."""
_STARTED_PER_CYCLE = 2
_FLOAT32_LANES = (("avx512f", 16), ("avx", 8), ("sse2", 4))
"""Float32 products of one instruction: FMA or a multiplication."""
_INT8_LANES = (("avx512_vnni", 64), ("avx512bw", 64), ("avx2", 32), ("ssse3", 16), ("sse2", 8))
"""Int8 products of one instruction: VPDPBUSD, VPMADDUBSW; PMADDWD before those."""
_TILE_PER_CYCLE = 1024
"""Int8 products per cycle of an AMX tile: TDPBSSD multiplies 16 × 64 by 64 × 16 in 16 cycles (Intel's manual, AMX)."""


def x86_roofline(flags: Collection[str], clock_mhz: int = 0) -> Roofline:
    """What a core computes per cycle at most.

    Args:
        flags: Its instruction sets, as /proc/cpuinfo names them.
        clock_mhz: Its highest clock, MHz; 0 where it does not tell, as in a virtual machine.
    """
    float32, name = _widest(flags, _FLOAT32_LANES)
    int8, integer = _widest(flags, _INT8_LANES)
    tiles = "amx_int8" in flags
    source = (
        f"Intel's and AMD's optimization manuals: at most two {name} instructions a cycle for float32, "
        f"{'one AMX tile' if tiles else f'two {integer} instructions'} for int8, as the processor's flags name them"
    )
    if clock_mhz:
        return Roofline(float32, _TILE_PER_CYCLE if tiles else int8, source)
    source += f"; it tells no clock, so {HIGHEST_CLOCK_MHZ / 1000:g} GHz, the highest ever sold, bounds it"
    return Roofline(float32, _TILE_PER_CYCLE if tiles else int8, source, HIGHEST_CLOCK_MHZ)


def _widest(flags: Collection[str], lanes: tuple[tuple[str, int], ...]) -> tuple[int, str]:
    """Products per cycle of the widest instruction, and the set that has it; every x86-64 core has SSE2."""
    name, count = next((entry for entry in lanes if entry[0] in flags), lanes[-1])
    return _STARTED_PER_CYCLE * count, name
