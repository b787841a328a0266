"""Text to tokens. Total on any text: PolicyError is the only way to fail."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple, NoReturn

from firedamp.errors import PolicyError
from inject.policy.model import VERSION, Span


class Kind(StrEnum):
    WORD = "a word"
    NUMBER = "a number"
    STRING = "a string"
    MARK = "a mark"
    STRACE = "a strace expression"
    SECTION = "a Policy: line"
    NEWLINE = "the end of the line"
    END = "the end of the policy"


class Token(NamedTuple):  # a sweep makes tens of thousands, and a tuple is made in a third of the time
    kind: Kind
    text: str
    span: Span


TOKEN: Final = re.compile(
    r"""(?P<SPACE>[ \t\r]+|\\\r?\n|\#[^\n]*)
      |(?P<NEWLINE>\n)
      |(?P<STRING>"(?:[^"\\\n]|\\[^\n])*")
      |(?P<NUMBER>-?[0-9]+(?:\.[0-9]+(?!\.))?[A-Za-z]*)
      |(?P<WORD>%?%?[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_%]+)*(?:@64)?)
      |(?P<MARK>->|\.\.|!=|[][(){}:,=<>+])""",
    re.VERBOSE,
)
KINDS: Final = {kind.name: kind for kind in Kind}
STRACE: Final = re.compile(r"(?:inject|fault)[ \t]*=[^\n]*")
SECTION: Final = re.compile(r"Policy[ \t]*:[^\n]*")
DECLARED: Final = re.compile(r"#[ \t]*firedamp[ \t]+policy[ \t]+([^\s]+)[ \t\r]*$", re.M)
ESCAPES: Final = {'"': '"', "\\": "\\", "n": "\n", "r": "\r"}


def lex(text: str, source: str = "<policy>") -> Iterator[Token]:
    """The tokens of a whole policy; the last one is END."""
    line, start, position, fresh = 1, 0, 0, True
    _check_version(text, source)
    while position < len(text):
        span = Span(line, position - start + 1)
        raw = (STRACE.match(text, position) or SECTION.match(text, position)) if fresh else None
        if raw is not None:
            kind = Kind.STRACE if raw.re is STRACE else Kind.SECTION
            yield Token(kind, _uncommented(raw[0]), span)
            position = raw.end()
            continue
        found = TOKEN.match(text, position)
        if found is None:
            _refuse(text, position, span, source)
        position = found.end()
        if found.lastgroup != "SPACE":
            yield Token(KINDS[str(found.lastgroup)], _value(found, span, source), span)
            fresh = found[0] in ("\n", "{")
        if found[0].endswith("\n"):
            line, start = line + 1, position
    yield Token(Kind.END, "", Span(line, position - start + 1))


def _check_version(text: str, source: str) -> None:
    declared = DECLARED.match(text)
    if declared and declared[1] != str(VERSION):
        message = f"policy version {declared[1]!r} is not known; this firedamp reads version {VERSION}"
        raise PolicyError(message, line=1, column=declared.start(1) + 1, source=source)


def _uncommented(raw: str) -> str:
    """A strace or Policy: line without its comment: a # after a blank."""
    return re.split(r"[ \t]#", raw, maxsplit=1)[0].rstrip(" \t\r")


def _value(found: re.Match[str], span: Span, source: str) -> str:
    if found.lastgroup != "STRING":
        return found[0]
    return re.sub(r"\\(.)", lambda escape: _escape(escape, span, source), found[0][1:-1])


def _escape(escape: re.Match[str], span: Span, source: str) -> str:
    if escape[1] not in ESCAPES:
        message = f'\\{escape[1]} is no escape in a string; use \\" \\\\ \\n \\r (a lone backslash is written \\\\)'
        raise PolicyError(message, line=span.line, column=span.column + escape.start() + 1, source=source)
    return ESCAPES[escape[1]]


def _refuse(text: str, position: int, span: Span, source: str) -> NoReturn:
    if text[position] == '"':
        message = 'the string has no end on this line; close it with "'
    else:
        message = f"{text[position]!r} means nothing here; a rule is SYSCALL: FILTER then ACTION"
    raise PolicyError(message, line=span.line, column=span.column, source=source)
