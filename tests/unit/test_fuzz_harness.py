import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fuzz.harness import adapt, wants_provider

SOURCE = """
def by_bytes(data: bytes) -> None:
    if data == b"bad":
        raise ValueError(data)

def by_provider(data: "atheris.FuzzedDataProvider") -> None:
    if data.ConsumeBytes(3) == b"bad":
        raise ValueError("bad")
"""


def replay(root: Path, name: str, data: bytes) -> subprocess.CompletedProcess[str]:
    (root / "harness_under_test.py").write_text(SOURCE)
    (root / "input").write_bytes(data)
    words = ["--root", str(root), f"harness_under_test:{name}", str(root / "input")]
    return subprocess.run([sys.executable, "-P", "-m", "fuzz.harness", *words], capture_output=True, text=True)


def test_bytes_and_provider_end_with_status_1_and_a_traceback(tmp_path: Path) -> None:
    for name in ("by_bytes", "by_provider"):
        bad, good = replay(tmp_path, name, b"bad"), replay(tmp_path, name, b"good")
        assert (bad.returncode, good.returncode) == (1, 0), (bad.stderr, good.stderr)
        assert "ValueError" in bad.stderr


def test_a_property_takes_bytes_through_hypothesis() -> None:
    seen: list[int] = []

    @given(st.integers(0, 255))
    def record(number: int) -> None:
        seen.append(number)

    adapt(record)(b"\x01\x02\x03\x04\x05\x06\x07\x08")
    assert seen


def test_a_provider_is_given_only_where_it_is_asked_for() -> None:
    def plain(data: bytes) -> None: ...
    def nothing() -> None: ...

    assert not wants_provider(plain)
    assert not wants_provider(nothing)
    assert adapt(plain) is plain


def test_importing_the_engine_loads_neither_atheris_nor_ptrace() -> None:
    code = "import sys, fuzz; sys.exit(any(m.partition('.')[0] in {'atheris', 'ptrace'} for m in sys.modules))"
    assert subprocess.run([sys.executable, "-P", "-c", code]).returncode == 0
