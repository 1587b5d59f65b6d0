import hashlib
import subprocess
import sys

import pytest

from edge_sdk_runtime import hashes
from edge_sdk_runtime.hashes import OPENSSL_FROM_BYTES, sha256_for

CONTENTS = (b"", b"abc", bytes(range(256)) * 99)
KNOWN = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""Of abc: FIPS 180-4's own example."""


@pytest.mark.parametrize("size", [0, OPENSSL_FROM_BYTES - 1, OPENSSL_FROM_BYTES])
@pytest.mark.parametrize("imported", [False, True])
def test_every_way_gives_the_same_hash(size: int, imported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not imported:
        monkeypatch.delitem(sys.modules, "hashlib")
    digest = sha256_for(size)
    assert digest(b"abc") == KNOWN
    assert [digest(content) for content in CONTENTS] == [hashlib.sha256(content).hexdigest() for content in CONTENTS]


def test_a_python_without_its_own_has_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.delitem(sys.modules, "hashlib")
    monkeypatch.setattr(hashes, "import_module", missing)
    assert sha256_for(0)(b"abc") == KNOWN


def test_little_does_not_bring_openssl() -> None:
    script = "import sys; from edge_sdk_runtime.hashes import sha256_for; sha256_for(3)(b'abc'); print('_hashlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
