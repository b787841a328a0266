"""Marks behind the arguments of variadic calls: what gets one, what does not, and that the text is else as it was."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedamp.building.format_marks import END, marked

PRINTF = "extern int printf(const char *, ...);\n"
MARK = re.compile(
    rf", __extension__ {END >> 8:#x}[0-9a-f]{{2}}ull, .*?, -0x1\.c3f19e7d2b6[0-9a-f]{{2}}p-419(?=\))", re.DOTALL
)


def counts(text: str) -> list[int]:
    return [int(mark[0].partition("ull")[0][-2:], 16) for mark in MARK.finditer(marked(text))]


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ('printf("%d", 1);', [1]),
        ("printf(x);", [0]),
        ("return printf(x, a[1, 2], f(3, 4), 5);", [3]),
        ("printf(x, printf(y, 1));", [1, 1]),
        ('if (a) printf("),;(", \',\'); else printf(x, "\\"", 2);', [1, 2]),
        ('printf("%s", a == 1 ? "" : "es");', [1]),
        ('printf(x,\n# 7 "a.c"\n  y);', [1]),
        ("o.printf(x); o->printf(x); printf;", []),
        ("extern int printf(const char *, ...);", []),
        ("int printf(int);", []),
        ("printf(x, __builtin_va_arg_pack ());", []),
        ('__builtin___snprintf_chk (to, 9, 1, __builtin_object_size (to, 1), "%d%d", 1, 2);', [2]),
        ("warn(x, 1); vprintf(x, rest);", []),
    ],
)
def test_calls_are_marked_with_the_number_of_their_arguments(body: str, given: list[int]) -> None:
    assert sorted(counts(f"{PRINTF}void f(void) {{ {body} }}\n")) == sorted(given)


@pytest.mark.parametrize(
    ("declaration", "given"),
    [
        ("static void say(int level, const char *format, ...);", [1]),
        ("void say(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));", [1]),
        ('# 1 "/usr/include/say.h" 1 3\nvoid say(int level, const char *format, ...);\n# 9 "a.c" 2', []),
        ("void say(int level, const char *format, int value);", []),
        ("struct s { void (*say)(int, const char *, ...); };", []),
        ("void set(void (*say)(const char *, ...));", []),
    ],
)
def test_functions_of_the_source_itself_are_marked_where_they_are_variadic(declaration: str, given: list[int]) -> None:
    assert counts(f"{declaration}\nvoid f(void) {{ say(1, x, 2); }}\n") == given


def test_a_source_that_has_a_printf_of_its_own_is_left_alone() -> None:
    text = PRINTF + "void printf(const char *text) { }\nvoid f(void) { printf(x); }\n"
    assert marked(text) == text


def test_the_type_of_an_argument_is_asked_for_as_the_source_writes_it() -> None:
    assert "__builtin_classify_type(a->b == 'x' ? 1 : c[2])" in marked(
        f"{PRINTF}void f(void) {{ printf(x, a->b == 'x'\n ? 1 : c[2]); }}"
    )


PIECES = st.sampled_from(
    [
        *PRINTF.split(" "),
        "printf(",
        "(",
        ")",
        "{",
        "}",
        ";",
        ",",
        "...",
        '"%s"',
        "'('",
        "x",
        "\n",
        '# 1 "a.h" 3\n',
        "->",
    ]
)


@given(st.lists(PIECES, max_size=60).map(" ".join) | st.text(max_size=60))
def test_nothing_but_marks_is_added_to_any_text(text: str) -> None:
    done = marked(PRINTF + text)
    assert MARK.sub("", done) == PRINTF + text
    assert done.count("\n") == PRINTF.count("\n") + text.count("\n")
