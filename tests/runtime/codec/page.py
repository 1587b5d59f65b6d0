"""Packed models decoded as `runtime/docs/codec.md` says, element by element and without any of the runtime's code."""

from __future__ import annotations

import hashlib
import lzma
import zlib
from pathlib import Path

CODEC = Path(__file__).parents[3] / "runtime" / "edge_sdk_runtime" / "codec"


class Page:
    """A reader of one packed file."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def entry(self, plain: int) -> tuple[int, int, int, int]:
        method = self.take(1)[0]
        cut = self.number() if method in (3, 4) else 0
        coded = {0: plain, 1: 1}.get(method)
        return method, cut, self.number() if coded is None else coded, plain

    def stream(self, entry: tuple[int, int, int, int]) -> bytes:
        method, cut, size, plain = entry
        coded = self.take(size)
        if method == 0:
            return coded
        if method == 1:
            return coded * plain
        if method == 2:
            return zlib.decompress(coded, -15)
        if method < 5:
            dictionary = (CODEC / {3: "skeletons_1.bin", 4: "gaps_1.bin"}[method]).read_bytes()
            drop, start = int.from_bytes(dictionary[:4], "little"), dictionary[7:]
            return unlzma(start[: len(start) - cut] + coded, drop + plain, *dictionary[4:7])[drop:]
        rest, lc = divmod(method - 5, 9)
        pb, lp = divmod(rest, 5)
        return unlzma(coded, plain, lc, lp, pb)

    def model(self) -> bytes:
        assert self.take(4) == b"ETZ\1"
        digest = self.take(32)
        size, plain = self.number(), self.number()
        skeleton_entry = self.entry(plain)
        tensors = [self.tensor() for _ in range(self.number())]
        skeleton, model = self.stream(skeleton_entry), b""
        for tensor in tensors:
            model += skeleton[: tensor["skip"]]
            skeleton = skeleton[tensor["skip"] :]
            model += self.rebuild(tensor)
        model += skeleton
        assert self.at == len(self.content) and len(model) == size and hashlib.sha256(model).digest() == digest
        return model

    def tensor(self) -> dict[str, object]:
        skip, form, count = self.number(), self.take(1)[0], self.number()
        width, kind, low = (form & 3), form >> 2 & 3, (0, 1, 2, 4)[form >> 6]
        columns = self.number() if form & 32 else 0
        coded = self.number() if kind else count
        places = lows = None
        if kind == 1:
            places = self.entry(coded + self.number())
            lows = self.entry(-(-coded * low // 8)) if low else None
        elif kind == 2:
            places = self.entry(-(-count // 8))
        base = kept = per = 0
        if form & 16:
            base, kept, per = self.take(1)[0] + 1, self.number(), self.number()
            values = [self.entry(-(-coded // per))] if base > 1 else []
        else:
            values = [self.entry(coded) for _ in range(4 if width == 3 else width)]
        return {k: v for k, v in locals().items() if k not in ("self", "form")}

    def rebuild(self, t: dict) -> bytes:
        size = 4 if t["width"] == 3 else max(1, t["width"])
        places = self.places(t)
        palette = [bytes(size - t["kept"]) + self.take(t["kept"]) for _ in range(t["base"])]
        streams = [self.stream(entry) for entry in t["values"]]
        if t["base"]:
            digits = [byte // t["base"] ** i % t["base"] for byte in (streams or [b""])[0] for i in range(t["per"])]
            values = [palette[digit] for digit in (digits or [0] * t["coded"])[: t["coded"]]]
        else:
            values = [bytes(each) for each in zip(*streams, strict=True)]
        elements = [bytes(size)] * t["count"]
        rows = t["count"] // t["columns"] if t["columns"] else 0
        for place, value in zip(places, values, strict=True):
            elements[place % rows * t["columns"] + place // rows if rows else place] = value
        if t["width"]:
            return b"".join(elements)
        halves = [element[0] for element in elements]
        return bytes(a | b << 4 for a, b in zip(halves[::2], halves[1::2], strict=True))

    def places(self, t: dict) -> list[int]:
        if not t["places"]:
            return list(range(t["count"]))
        content = self.stream(t["places"])
        if t["kind"] == 2:
            return [i for i in range(t["count"]) if content[i // 8] >> i % 8 & 1]
        low = self.stream(t["lows"]) if t["lows"] else b""
        bits = t["low"]
        places, place = [], 0
        for symbol in content:
            place += symbol << bits
            if symbol != 255:
                first = len(places) * bits
                place += (low[first // 8] >> first % 8) % (1 << bits) if bits else 0
                places.append(place)
                place += 1
        return places


def unlzma(coded: bytes, plain: int, lc: int, lp: int, pb: int) -> bytes:
    chosen = {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 18, "lc": lc, "lp": lp, "pb": pb}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen]).decompress(b"\0" + coded + bytes(16), plain)
