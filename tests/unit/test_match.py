"""Operators of filters, compared with the C library's own fnmatch(3) and regcomp(3) where it defines them."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inject.decide.match import compare, glob
from inject.policy.ere import extended
from inject.policy.model import Operator

LIBC = ctypes.CDLL(None)
FNM_PATHNAME, FNM_LEADING_DIR = 1, 8  # fnmatch.h
REG_EXTENDED, REG_NOSUB = 1, 8  # regex.h
MACROS = {"HOME": "/home/a[1]", "CWD": "/work.d", "USER": "ann"}


def libc_glob(pattern: str, value: str) -> bool:
    return LIBC.fnmatch(pattern.encode(), value.encode(), FNM_PATHNAME | FNM_LEADING_DIR) == 0


def libc_regex(pattern: str, value: str) -> bool | None:
    compiled = ctypes.create_string_buffer(256)  # regex_t is 64 bytes in glibc
    if LIBC.regcomp(compiled, pattern.encode(), REG_EXTENDED | REG_NOSUB):
        return None
    found = LIBC.regexec(compiled, value.encode(), 0, None, 0) == 0
    LIBC.regfree(compiled)
    return found


@settings(max_examples=500)
@given(st.text("ab/*?.", max_size=7), st.text("ab/.", max_size=7))
def test_match_is_the_c_library_s(pattern: str, value: str) -> None:
    assert (glob(pattern).match(value) is not None) == libc_glob(pattern, value)


@pytest.mark.parametrize(
    "pattern", ["/tmp/[ab]*", "/tmp/[!a]", "/tmp/[^a]", "/tmp/[a-c]x", r"/tmp/\*", "/tmp/*", "*", "[", "/tmp"]
)
@pytest.mark.parametrize(
    "value", ["/tmp/a", "/tmp/b", "/tmp/bx", "/tmp/*", "/tmp/a/deep", "/tmp", "/tmpx", "x", "[", ""]
)
def test_match_with_brackets_is_the_c_library_s(pattern: str, value: str) -> None:
    assert (glob(pattern).match(value) is not None) == libc_glob(pattern, value)


@settings(max_examples=500)
@given(
    st.from_regex(r"(\^?([ab.]|[ab][*+?]|\([ab]\|[ab]*\)|\[\^?[ab]+\]|[ab]\{1,2\}|\\[.*]){1,4}\$?)", fullmatch=True),
    st.text("ab.*", max_size=6),
)
def test_re_is_the_c_library_s(pattern: str, value: str) -> None:
    expected = libc_regex(pattern, value)
    assert expected is not None
    assert compare(Operator.RE, pattern, value, {}) == expected


@pytest.mark.parametrize("pattern", ["(", "[", "a**b(?i)", "[[:nope:]]", "a\\"])
def test_a_regular_expression_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        extended(pattern)


def test_match_without_a_leading_slash_holds_in_any_folder() -> None:
    assert compare(Operator.MATCH, "*.db", "/srv/data/a.db", {})
    assert compare(Operator.MATCH, "data/*", "/srv/data/a.db", {})
    assert not compare(Operator.MATCH, "/*.db", "/srv/data/a.db", {})
    assert not compare(Operator.MATCH, "*.db", "/srv/data/a.txt", {})


def test_eq_is_literal_and_blind_to_case() -> None:
    assert compare(Operator.EQ, "/Etc/Passwd", "/etc/passwd", {})
    assert not compare(Operator.EQ, "*", "/etc/passwd", {})
    assert compare(Operator.NEQ, "*", "/etc/passwd", {})


def test_sub_minds_the_case() -> None:
    assert compare(Operator.SUB, "/dev/", "/dev/null", {})
    assert not compare(Operator.SUB, "/Dev/", "/dev/null", {})
    assert compare(Operator.NSUB, "/Dev/", "/dev/null", {})


@pytest.mark.parametrize(
    ("value", "held"), [("/usr/lib", True), ("/usr", True), ("/", True), ("/usr/lib/x", False), ("/us", False)]
)
def test_inpath_holds_for_the_text_and_the_folders_above_it(value: str, held: bool) -> None:
    assert compare(Operator.INPATH, "/usr/lib", value, {}) is held


def test_macros_stand_for_their_values_and_never_for_patterns() -> None:
    assert compare(Operator.EQ, "$HOME/x", "/home/a[1]/x", MACROS)
    assert compare(Operator.MATCH, "$HOME/*", "/home/a[1]/x", MACROS)
    assert not compare(Operator.MATCH, "$HOME/*", "/home/a1/x", MACROS)
    assert compare(Operator.RE, "^$CWD/$USER$", "/work.d/ann", MACROS)
    assert not compare(Operator.RE, "^$CWD/", "/workxd/ann", MACROS)
    assert compare(Operator.EQ, "$OTHER", "$OTHER", MACROS)
