"""What a binary compares with, read from its code: real compilers, real files."""

import struct
import subprocess
from pathlib import Path

import pytest

from firedamp.building.format_marks import IN_CODE, marked
from fuzz.constants import LONGEST, words

pytestmark = pytest.mark.parametrize(
    "compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")]
)
SOURCE = """
#include <string.h>
int real(double x) { return x == 3.14159; }
int small(float x) { return x < 2.5f; }
typedef unsigned __int128 wide;
int wider(const wide *x) { return *x == ((wide)0x1122334455667788 << 64 | 0x99aabbccddeeff00); }
int word(const char *x) { return !strcmp(x, "IHDR") || !strcmp(x, "an error message that nobody compares with"); }
const char *file(void) { return "tool.c"; }
"""


PRINTING = """
int printf(const char *format, ...);
void print(double x, long a, long b) { printf("%f", x); printf("%ld %ld", a, b); printf("%ld", a); }
"""


def made(compiler: str, tmp_path: Path, text: str = SOURCE) -> tuple[bytes, ...]:
    source, binary = tmp_path / "a.c", tmp_path / "a.so"
    source.write_text(text)
    subprocess.run([compiler, "-O1", "-fno-builtin", "-fPIC", "-shared", source, "-o", binary], check=True)
    return words(binary)


def test_numbers_that_no_hook_sees_and_key_words_are_offered(compiler: str, tmp_path: Path) -> None:
    found = made(compiler, tmp_path)
    wide = (0x1122334455667788 << 64 | 0x99AABBCCDDEEFF00).to_bytes(16, "little")
    assert {struct.pack("<d", 3.14159), b"3.14159", struct.pack("<f", 2.5), b"2.5", wide, b"IHDR"} <= set(found)


def test_messages_and_names_of_sources_are_not(compiler: str, tmp_path: Path) -> None:
    found = made(compiler, tmp_path)
    assert b"tool.c" not in found
    assert max(map(len, found)) <= LONGEST
    assert len(found) == len(set(found))


def test_no_input_is_made_to_look_like_a_mark_of_format_guard(compiler: str, tmp_path: Path) -> None:
    """A right program that printed it would seem to have given too little."""
    found = made(compiler, tmp_path, marked(PRINTING))
    assert IN_CODE[1] in (tmp_path / "a.so").read_bytes()
    assert not [word for word in found for mark in IN_CODE if mark in word]
