"""The dictionary that libFuzzer gets."""

from pathlib import Path

import pytest

from firedamp.errors import UsageError
from fuzz.tokens import HOSTILE, _spell, write_dictionary


def test_the_users_lines_keep_their_numbers(tmp_path: Path) -> None:
    own = tmp_path / "own.dict"
    own.write_bytes(b'# comment\nmagic="IHDR"')

    lines = write_dictionary(tmp_path / "all", own).read_bytes().splitlines()

    assert lines[:2] == [b"# comment", b'magic="IHDR"']
    assert lines[2:] == [b'"%s"' % token for token in HOSTILE]


def test_libfuzzer_reads_each_token_as_it_is_written() -> None:
    """Printable characters, and neither quotes nor backslashes (ParseOneDictionaryEntry in FuzzerUtil.cpp)."""
    for token in HOSTILE:
        assert token.isascii() and token.decode().isprintable()
        assert not set(token) & set(b'"\\')
        assert 0 < len(token) <= 64  # Word::kMaxSize


def test_a_missing_dictionary_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        write_dictionary(tmp_path / "all", tmp_path / "none")


def test_words_of_the_binary_stand_behind_and_are_spelt_for_libfuzzer(tmp_path: Path) -> None:
    (tmp_path / "script").write_bytes(b"#!/bin/sh\n")
    lines = write_dictionary(tmp_path / "all", None, tmp_path / "script").read_bytes().splitlines()
    assert len(lines) == len(HOSTILE)  # no ELF file, no words
    assert _spell(b'\x00"\\A') == rb"\x00\x22\x5cA"
