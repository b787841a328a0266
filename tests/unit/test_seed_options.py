"""OSS-Fuzz's .dict and .options beside a seed corpus."""

from pathlib import Path

import pytest

from firedamp.errors import UsageError
from firedamp.seed_options import honour
from firedamp.target import Limits, Target, TargetKind

OPTIONS = "[libfuzzer]\nmax_len = 128\ntimeout = 25\nonly_ascii = 1\nclose_fd_mask = 3\n[asan]\nx = 1\n"


def target(folder: Path, **facts: object) -> Target:
    (folder / "out").mkdir(exist_ok=True)
    given = {"seeds": "out/png_seed_corpus.zip", **facts}
    return Target(name="t", kind=TargetKind.HARNESS, root=folder, sources=("t.c",), **given)  # type: ignore[arg-type]


def test_what_lies_beside_an_archive_holds(tmp_path: Path) -> None:
    own = target(tmp_path)
    assert honour(own).target == own
    (tmp_path / "out" / "png.options").write_text(OPTIONS)
    (tmp_path / "out" / "png.dict").write_text('"IHDR"\n')
    beside = honour(own)
    assert (beside.target.max_len, beside.target.limits.wall_s, beside.flags) == (128, 25.0, ("-only_ascii=1",))
    assert beside.target.dictionary == str(tmp_path / "out" / "png.dict")
    assert beside.note == "png.options and png.dict beside the seeds: used"


def test_firedamp_toml_wins(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "png.options").write_text(OPTIONS + "[libfuzzer2]\n")
    (tmp_path / "out" / "t.dict").write_text('"IHDR"\n')
    own = target(tmp_path, max_len=99, limits=Limits(wall_s=2.0), dictionary="mine.dict")
    beside = honour(own).target
    assert (beside.max_len, beside.limits.wall_s, beside.dictionary) == (99, 2.0, "mine.dict")


def test_the_options_name_another_dictionary(tmp_path: Path) -> None:
    own = target(tmp_path, seeds="out/seeds")
    (tmp_path / "out" / "t.options").write_text("[libfuzzer]\ndict = common.dict\n")
    assert honour(own).target.dictionary == str(tmp_path / "out" / "common.dict")


@pytest.mark.parametrize("text", ["max_len = 1\n", "[libfuzzer]\nmax_len = many\n", "[libfuzzer]\ntimeout = 0\n"])
def test_what_cannot_be_read_is_said_with_the_files_name(tmp_path: Path, text: str) -> None:
    own = target(tmp_path)
    (tmp_path / "out" / "png.options").write_text(text)
    with pytest.raises(UsageError, match=r"png\.options"):
        honour(own)
