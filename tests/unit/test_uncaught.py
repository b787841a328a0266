from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firedamp import uncaught


def parse(text: str) -> int:
    return int(text)


def test_what_was_told_comes_back_with_the_project_s_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(ValueError) as caught:
        parse("x")
    uncaught.tell(caught.value, root=str(Path(__file__).parent))
    said, stack = uncaught.read(tmp_path)
    assert said.startswith("ValueError: invalid literal")
    assert (stack[0].function, stack[0].own) == ("parse", True)


def test_nothing_told_is_nothing(tmp_path: Path) -> None:
    assert uncaught.read(tmp_path) == ("", ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.one_of(st.binary(), st.just(b'{"exception": 1, "message": 2, "frames": [[1, 2]]}'), st.just(b"[]")))
def test_a_target_may_write_anything_there(tmp_path: Path, data: bytes) -> None:
    (tmp_path / uncaught.NAME).write_bytes(data)
    assert uncaught.read(tmp_path) == ("", ())
