"""Marks the end of the arguments in calls of variadic functions, in C that went through the preprocessor. Pure.

Extra arguments are allowed to every variadic function (C11, 6.5.2.2 and 7.16): nobody reads them, unless a format asks
for more than was given. FormatGuard's runtime then meets the mark where an argument should be, and so it does behind
each va_list that such a call leads to. So the sources' own functions with `...` are marked as the printf family is.
What is called through a pointer or without a declaration is not.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

# The functions of glibc whose formats firedamp/runtime/format_calls.c looks at, and what FORTIFY makes of them.
PRINTING = frozenset(
    """asprintf dprintf err error error_at_line errx fprintf obstack_printf obstack_vprintf printf snprintf sprintf
    syslog vasprintf vdprintf verr verrx vfprintf vprintf vsnprintf vsprintf vsyslog vwarn vwarnx warn warnx""".split()  # noqa: SIM905
)
PRINTED = PRINTING | frozenset(f"__{name}_chk" for name in PRINTING)

# The values are those of firedamp/runtime/format.c; the low byte is the number of arguments.
END = 0x9D4C7A61E83BF200
REAL_END = "-0x1.c3f19e7d2b6{:02x}p-419"  # as a double: 0xa5cc3f19e7d2b6NN
# What both look like in the code, without the count: an input that had them would look like a mark.
IN_CODE = tuple(struct.pack(f, end)[1:] for f, end in (("<Q", END), ("<d", float.fromhex(REAL_END.format(0)))))
MOST_GIVEN = 0xFF
TYPES = 16  # arguments whose type is told
LONGEST_TYPED = 2000  # characters of an argument that is repeated to ask for its type
PACK = "__builtin_va_arg_pack"  # of gcc: only the last argument may be one, and it brings a mark of its own
OPENING = {"(": ")", "[": "]", "{": "}"}
BEFORE_A_CALL = frozenset({"return", "else", "do", "__extension__"})  # other words there are the type of a declaration

# clang's FORTIFY calls these without a declaration: name -> parameters before the `...`
BUILTINS = {
    "__builtin_printf": 1,
    "__builtin_fprintf": 2,
    "__builtin_sprintf": 2,
    "__builtin_snprintf": 3,
    "__builtin___printf_chk": 2,
    "__builtin___fprintf_chk": 3,
    "__builtin___sprintf_chk": 4,
    "__builtin___snprintf_chk": 5,
}

TOKEN = re.compile(
    r"""(?P<line>^[ \t]*\#[^\n]*)
    |(?P<text>(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"|[uUL]?'(?:[^'\\\n]|\\.)*')
    |(?P<comment>/\*.*?\*/|//[^\n]*)
    |(?P<word>[A-Za-z_$][\w$]*)
    |(?P<number>\.?[0-9](?:[eEpP][+-]|[\w.])*)
    |(?P<sign>\.\.\.|->|[^\s])""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
MARKER = re.compile(r"\s*#(?:line)?\s+\d+\s+\"(?P<file>[^\"]*)\"(?P<flags>[ \d]*)")  # of `cc -E`
SYSTEM_HEADER = "3"


@dataclass(slots=True)
class _Group:
    """Between an opening bracket and its end."""

    start: int  # index of the token that opens it
    close: str
    commas: list[int] = field(default_factory=list)
    variadic: bool = False
    name: str | None = None  # of the function that is called or declared with it


def marked(text: str) -> str:
    """The same C, line by line, with marks; unchanged where there is nothing to mark."""
    pieces: list[str] = []
    done = 0
    for at, mark in _marks(text):
        pieces += (text[done:at], mark)
        done = at
    return "".join((*pieces, text[done:])) if pieces else text


def _marks(text: str) -> Iterator[tuple[int, str]]:
    """Where to insert, ascending, and what."""
    known = dict(BUILTINS)
    tokens: list[re.Match[str]] = []
    open_groups: list[_Group] = []
    depth, system = 0, False  # depth: of braces
    for token in TOKEN.finditer(text):
        if token.lastgroup == "line":
            if marker := MARKER.match(token[0]):
                system = SYSTEM_HEADER in marker["flags"].split()
            continue
        if token.lastgroup == "comment":
            continue
        tokens.append(token)
        sign = token[0] if token.lastgroup == "sign" else ""
        if sign in OPENING:
            name = _called(tokens) if sign == "(" else None
            open_groups.append(_Group(start=len(tokens) - 1, close=OPENING[sign], name=name))
            depth += sign == "{"
        elif open_groups and sign == ",":
            open_groups[-1].commas.append(len(tokens) - 1)
        elif open_groups and sign == "...":
            open_groups[-1].variadic = True
        elif open_groups and sign == open_groups[-1].close:
            group = open_groups.pop()
            depth -= sign == "}"
            if group.name is None:
                pass
            elif depth == 0:
                _learn(known, group, system=system)
            elif not group.variadic and group.name in known and (mark := _mark(tokens, group, known[group.name])):
                yield token.start(), mark
        if depth == 0 and sign in (";", "}") and not open_groups:
            tokens.clear()


def _called(tokens: list[re.Match[str]]) -> str | None:
    """The name in front of the parenthesis that is the last token, where it is no member."""
    if len(tokens) < 2 or tokens[-2].lastgroup != "word":
        return None
    before = tokens[-3] if len(tokens) > 2 else None
    if before is not None and before[0] in (".", "->"):
        return None
    return tokens[-2][0]


def _learn(known: dict[str, int], group: _Group, *, system: bool) -> None:
    if group.variadic and group.name and group.commas and (not system or group.name in PRINTED):
        known[group.name] = len(group.commas)
    elif group.name in known and not group.variadic and not system:
        del known[group.name]


def _mark(tokens: list[re.Match[str]], group: _Group, named: int) -> str | None:
    """What goes before the parenthesis that is the last token; None where this is no call, or has a mark."""
    before = tokens[group.start - 2] if group.start >= 2 else None
    if before is not None and before.lastgroup == "word" and before[0] not in BEFORE_A_CALL:
        return None
    borders = [group.start, *group.commas, len(tokens) - 1]
    arguments = [tokens[start + 1 : end] for start, end in pairwise(borders)]
    if len(arguments) < named or not all(arguments) or arguments[-1][0][0] == PACK:
        return None
    given = arguments[named:]
    if len(given) > MOST_GIVEN:
        return None
    types = " | ".join(f"{_type(words)} << {4 * place}" for place, words in enumerate(given[:TYPES]))
    count = len(given)
    return f", __extension__ {END + count:#x}ull, {types or '0ul'}, {REAL_END.format(count)}"


def _type(words: list[re.Match[str]]) -> str:
    """Its class as a number below 16; 0 is "unknown". The operand is not evaluated."""
    text = _joined(words)
    if len(text) > LONGEST_TYPED or "{" in text:
        return "0ul"
    return f"(unsigned long)__builtin_classify_type({text})"


def _joined(words: list[re.Match[str]]) -> str:
    """On one line, and without directives."""
    gaps = ("" if left.end() == right.start() else " " for left, right in pairwise(words))
    return "".join((words[0][0], *(gap + word[0] for gap, word in zip(gaps, words[1:], strict=True))))
