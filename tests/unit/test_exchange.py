"""Corpora in and out: whatever fuzzer they come from, no byte changes and no input is there twice."""

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedamp.cover import Measured, cover
from firedamp.errors import UsageError
from firedamp.exchange import bring_in, contents, digest, take_out


def lay(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_out_and_in_again_is_the_same(tmp_path: Path) -> None:
    corpus = lay(tmp_path / "corpus", **{digest(data): data for data in (b"", b"one", b"\xff\0")})
    for destination in (tmp_path / "flat", tmp_path / "png_seed_corpus.zip"):
        assert take_out([corpus], destination) == 3
        again = tmp_path / f"from-{destination.name}"
        assert bring_in(again, [destination]).added == 3
        assert {path.name: path.read_bytes() for path in again.iterdir()} == {
            path.name: path.read_bytes() for path in corpus.iterdir()
        }
        assert bring_in(again, [destination, corpus]).known == 6
    with pytest.raises(UsageError, match="not overwritten"):
        take_out([corpus], tmp_path / "png_seed_corpus.zip")


def test_of_an_afl_output_folder_the_queues_are_taken(tmp_path: Path) -> None:
    out = lay(
        tmp_path / "out",
        main__queue__id_0=b"a",
        second__queue__id_0=b"b",
        main__crashes__id_0=b"crash",
        main__fuzzer_stats=b"stats",
    )
    lay(out / "main" / "queue" / ".state", redundant=b"mark")
    assert sorted(contents(out)) == [b"a", b"b"]
    assert sorted(contents(out / "main")) == [b"a"]
    assert sorted(contents(out / "main" / "crashes")) == [b"crash"]


def test_a_damaged_archive_is_the_users_mistake(tmp_path: Path) -> None:
    path = tmp_path / "seeds.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deep/one", b"1" * 1000)
        archive.writestr("two", b"22")
    assert list(contents(path)) == [b"1" * 1000, b"22"]
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"111", b"2ss"))
    with pytest.raises(UsageError, match="cannot be unpacked"):
        list(contents(path))
    with pytest.raises(UsageError, match="no such file"):
        list(contents(tmp_path / "absent"))


@given(st.lists(st.tuples(st.integers(0, 2**12 - 1), st.integers(0, 9)), max_size=12))
def test_a_cover_reaches_all_and_nothing_in_it_is_useless(corpus: list[tuple[int, int]]) -> None:
    measured = [Measured(path=Path(str(n)), size=size, features=bits) for n, (bits, size) in enumerate(corpus)]
    kept = cover(measured)

    def together(paths: frozenset[Path]) -> int:
        reached = 0
        for each in measured:
            reached |= each.features if each.path in paths else 0
        return reached

    everything = frozenset(each.path for each in measured)
    assert together(kept) == together(everything)
    assert len(kept) <= together(everything).bit_count()


def test_of_equal_inputs_the_smallest_is_kept() -> None:
    measured = [Measured(path=Path(name), size=len(name), features=0b11) for name in ("long", "a", "bb")]
    assert cover(measured) == {Path("a")}


def test_a_zip_that_is_no_archive_is_not_taken_for_an_input(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.zip", tmp_path / "cut.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("one", b"1" * 100)
    cut.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(UsageError, match=r"cut\.zip: is no zip archive, or not a whole one; pack it anew"):
        list(contents(cut))
    folder = tmp_path / "inputs"
    folder.mkdir()
    cut.rename(folder / "cut.zip")  # an input of a folder is whatever it is
    assert len(list(contents(folder))) == 1


@pytest.mark.parametrize(
    ("method", "damage"),
    [
        (zipfile.ZIP_STORED, "data"),
        (zipfile.ZIP_DEFLATED, "data"),
        (zipfile.ZIP_BZIP2, "data"),
        (zipfile.ZIP_LZMA, "data"),
        (zipfile.ZIP_STORED, "sizes"),  # the other methods' data say where they end
    ],
)
def test_an_archive_with_any_damage_is_named_with_a_remedy(method: int, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "seeds.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", b"abc" * 3000)
    raw = bytearray(path.read_bytes())
    entry = raw.rfind(b"PK\1\2")  # of the central directory: APPNOTE.TXT, 4.3.12
    if damage == "data":
        raw[31:50] = b"\xff" * 19
    else:
        struct.pack_into("<II", raw, entry + 20, 900_000, 900_000)
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"seeds\.zip: cannot be unpacked: .+; pack it anew"):
        list(contents(path))
