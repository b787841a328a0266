"""Tokens to what a rule does: its verdict and its modifiers.

verdict  = "permit" ["[" ("inherit" | "detach") "]"] | "deny" ["[" ERRNO "]"] | ("suppress" | "commit") "[" ERRNO "]"
         | "partial" "[" N "]" | "corrupt" "[" N "]" ["seed" N] | "retval" "[" N "]"
         | "ask" ["[" TIME "]"]
modifier = "signal" "[" SIGNAL "]" | ("delay" | "delay_exit") "[" TIME "]" | "log" | "as" USER [":" GROUP] | "once"
         | "when" F[".."L]["+"[S]] | "after" N | "limit" N | "until" "freed"
         | "probability" P ["seed" N] | "xor" GROUP

An action that starts with a modifier of effect (signal, delay) permits the call.
"""

import re
from typing import Any, Final

from inject.linux import syscalls
from inject.policy import names
from inject.policy.cursor import Cursor
from inject.policy.lex import Kind
from inject.policy.model import (
    Ask,
    Chance,
    Commit,
    Corrupt,
    Deny,
    Partial,
    Permit,
    Retval,
    Suppress,
    Verdict,
    When,
)
from inject.policy.strace import parse_when

LARGEST: Final = 2**63 - 1
COUNTED_LIMIT: Final = 10**9  # of after, limit and seeds: beyond what a run can do
VERDICTS: Final = ("permit", "deny", "suppress", "commit", "partial", "corrupt", "retval", "ask")
EFFECTS: Final = ("signal", "delay", "delay_exit")
MODIFIERS: Final = (*EFFECTS, "log", "as", "once", "when", "after", "limit", "until", "probability", "xor")


def verdict(cursor: Cursor) -> Verdict:
    if cursor.at(*EFFECTS):
        return Permit()
    word = cursor.expect(f"an action ({', '.join(VERDICTS)})", *VERDICTS).text
    match word:
        case "permit":
            return Permit(mode=cursor.bracketed(_mode) if cursor.at("[") else None)
        case "deny":
            return Deny(errno=cursor.bracketed(_errno) if cursor.at("[") else None)
        case "suppress":
            return Suppress(errno=cursor.bracketed(_errno))
        case "commit":
            return Commit(errno=cursor.bracketed(_errno))
        case "partial":
            return Partial(count=cursor.bracketed(_short_count))
        case "corrupt":
            return Corrupt(count=cursor.bracketed(_bytes), seed=_seed(cursor))
        case "retval":
            return Retval(value=cursor.bracketed(_value))
        case _:
            return Ask(patience_ns=cursor.bracketed(_time) if cursor.at("[") else None)


def modifiers(cursor: Cursor) -> dict[str, Any]:
    """The fields of a Rule that they fill."""
    fields: dict[str, Any] = {}
    while not (cursor.token.kind in (Kind.NEWLINE, Kind.END) or cursor.at("}", ",")):
        token = cursor.expect(f"one of {', '.join(MODIFIERS)}, or the end of the rule", *MODIFIERS)
        key, value = _modifier(cursor, token.text)
        if key in fields:
            cursor.refuse(f"{token.text!r} stands here twice; leave one", token.span)
        if {"once", "limit"} <= {key, *fields}:
            cursor.refuse("once is limit 1; leave one of them", token.span)
        fields[key] = value
    return fields


def _modifier(cursor: Cursor, word: str) -> tuple[str, object]:
    match word:
        case "signal":
            return "signal", cursor.bracketed(_signal)
        case "delay":
            return "delay_entry_ns", cursor.bracketed(_time)
        case "delay_exit":
            return "delay_exit_ns", cursor.bracketed(_time)
        case "as":
            return "run_as", _user(cursor)
        case "when":
            return "when", _window(cursor)
        case "after" | "limit":
            return word, cursor.integer("a count", 1, COUNTED_LIMIT)
        case "until":
            cursor.expect("freed", "freed")
            return "until_freed", True
        case "probability":
            return "chance", _chance(cursor)
        case "xor":
            return "group", cursor.expect_kind("the name of a group", Kind.WORD).text
    return word, True  # log, once


def _mode(cursor: Cursor) -> str:
    return cursor.expect("inherit or detach", "inherit", "detach").text


def _errno(cursor: Cursor) -> int:
    token = cursor.expect_kind("an errno", Kind.WORD, Kind.NUMBER)
    number = syscalls.errno_number(token.text)
    return number if number is not None else cursor.refuse(names.unknown_errno(token.text), token.span)


def _short_count(cursor: Cursor) -> int:
    span = cursor.token.span
    count = cursor.integer("a number of bytes", 0, LARGEST)
    if count == 0:
        cursor.refuse("partial[0] is no short count (0 is the end of a file); write retval[0] if you mean that", span)
    return count


def _bytes(cursor: Cursor) -> int:
    return cursor.integer("a number of bytes", 1, COUNTED_LIMIT)


def _value(cursor: Cursor) -> int:
    return cursor.integer("a value", -LARGEST - 1, LARGEST)


def _seed(cursor: Cursor) -> int:
    return cursor.integer("a seed", 0, COUNTED_LIMIT) if cursor.accept("seed") else 0


def _signal(cursor: Cursor) -> int:
    token = cursor.expect_kind("a signal", Kind.WORD, Kind.NUMBER)
    number = names.signal_number(token.text)
    return number if number is not None else cursor.refuse(names.unknown_signal(token.text), token.span)


def _time(cursor: Cursor) -> int:
    token = cursor.expect_kind("a length of time", Kind.NUMBER)
    length = names.duration_ns(token.text)
    wrong = f"{token.text!r} is no length of time up to a day; write a whole number with s, ms, us or ns"
    return length if length is not None else cursor.refuse(wrong, token.span)


def _user(cursor: Cursor) -> tuple[str, str | None]:
    user = cursor.expect_kind("a user", Kind.WORD, Kind.NUMBER).text
    group = cursor.expect_kind("a group", Kind.WORD, Kind.NUMBER).text if cursor.accept(":") else None
    return user, group


def _window(cursor: Cursor) -> When:
    first = cursor.expect_kind("a window: F, F+, F+S, F..L or F..L+S", Kind.NUMBER)
    text = first.text
    if cursor.accept(".."):
        text += ".." + cursor.expect_kind("the last call of the window", Kind.NUMBER).text
    if cursor.accept("+"):
        text += "+" + (cursor.take().text if cursor.token.kind is Kind.NUMBER else "")
    window = parse_when(text)
    wrong = f"{text!r} is no window; write F, F+, F+S, F..L or F..L+S, with 1 <= F <= L <= 65535"
    return window or cursor.refuse(wrong, first.span)


def _chance(cursor: Cursor) -> Chance:
    token = cursor.expect_kind("a probability", Kind.NUMBER)
    value = float(token.text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,30})?", token.text) else -1.0
    if not 0 < value <= 1:
        cursor.refuse(f"{token.text!r} is no probability; write a number above 0, at most 1", token.span)
    return Chance(probability=value, seed=_seed(cursor))
