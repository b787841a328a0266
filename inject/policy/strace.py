"""strace's inject and fault expressions, as people type them: text to StraceRule, and its calls.

Copied: the grammar of strace(1), -e inject. Differs, and docs say so: `close` is carried out before it fails, and
several expressions for one call are all tried in order.
"""

import re
from typing import Final, NoReturn

from firedamp.errors import PolicyError
from inject.linux import syscalls
from inject.policy import names
from inject.policy.ere import extended
from inject.policy.model import START, Poke, Selection, Span, StraceRule, When

LONGEST: Final = 2**63  # of a retval: long
KEYS: Final = (
    *("error", "retval", "signal", "syscall", "delay_enter", "delay_exit"),
    *("poke_enter", "poke_exit", "when"),
)
STRANGE: Final = frozenset(  # to fault=, which knows error= and when= alone
    ("retval", "signal", "syscall", "delay_enter_ns", "delay_exit_ns", "poke_enter", "poke_exit")
)
POKED_BYTES: Final = 1024  # strace's own limit on the data for one argument
LARGEST_COUNT: Final = 65535  # strace keeps `when` in 16 bits


def parse_strace(text: str, *, source: str = "-e", span: Span = START) -> StraceRule:
    """`inject=SET:TOKEN:...` -> StraceRule. PolicyError with the column of the token that is wrong."""
    return _Expression(text, source, span).rule()


def parse_when(text: str) -> When | None:
    """F[..L][+[S]] -> When; None when it is no such thing, or runs backwards."""
    found = re.fullmatch(r"([0-9]{1,5})(?:\.\.([0-9]{1,5}))?(?:(\+)([0-9]{1,5})?)?", text)
    if found is None:
        return None
    first, step = int(found[1]), int(found[4] or 1)
    last = int(found[2]) if found[2] else None if found[3] else first
    if not 1 <= first <= LARGEST_COUNT or not 1 <= step <= LARGEST_COUNT or (last is not None and last < first):
        return None
    if last == first:
        step = 1
    return When(first=first, last=last, step=step)


def selected(rule: StraceRule) -> tuple[str, ...]:
    """The names of exactly the calls that the set names."""
    chosen = {name for selection in rule.selections for name in find_members(selection.text) or ()}
    return tuple(name for name in syscalls.table() if (name in chosen) != rule.inverted)


def find_members(text: str) -> tuple[str, ...] | None:
    """Of one member of a set; None when strace would not know it."""
    if text in ("all", "none"):
        return tuple(syscalls.table()) if text == "all" else ()
    if text.startswith("%"):
        return syscalls.in_class(text[1:]) or None
    if text.startswith("/"):
        pattern = re.compile(extended(text[1:]))
        return tuple(name for name in syscalls.table() if pattern.search(name)) or None
    if re.fullmatch(r"[0-9]{1,4}", text):
        name = syscalls.name(int(text))
        return (name,) if name in syscalls.table() else None
    bare = text.removesuffix("@64")
    return (bare,) if bare in syscalls.table() else None


class _Expression:
    """One expression under way: its tokens, and the column at which each one stands."""

    def __init__(self, text: str, source: str, span: Span) -> None:
        self.text, self.source, self.span = text, source, span

    def refuse(self, message: str, offset: int) -> NoReturn:
        raise PolicyError(message, line=self.span.line, column=self.span.column + offset, source=self.source)

    def rule(self) -> StraceRule:
        head = re.match(r"(inject|fault)[ \t]*=[ \t]*", self.text)
        if head is None:
            self.refuse("expected inject=SET:... or fault=SET:...", 0)
        parts = self.text[head.end() :].split(":")
        fields: dict[str, object] = {"fault": head[1] == "fault", "span": self.span}
        fields["inverted"], fields["selections"] = self.selections(parts[0], head.end())
        offset = head.end() + len(parts[0]) + 1
        for part in parts[1:]:
            key, value = self.token(part, offset)
            if key in fields:
                self.refuse(f"{part.partition('=')[0]}= stands here twice; leave one", offset)
            fields[key] = value
            offset += len(part) + 1
        self.check(fields, head.end())
        return StraceRule(**fields)  # type: ignore[arg-type]  # `token` makes each value of its field's type

    def check(self, fields: dict[str, object], offset: int) -> None:
        if "error" in fields and "retval" in fields:
            self.refuse("error= and retval= exclude each other", offset)
        if fields["fault"] and STRANGE & fields.keys():
            self.refuse("fault= takes error= and when= alone; write inject= for the others", 0)
        if not fields["fault"] and not (STRANGE | {"error"}) & fields.keys():
            self.refuse(f"nothing to do: add {'=, '.join(KEYS[:-2])}= or {KEYS[-2]}=", offset)

    def selections(self, text: str, offset: int) -> tuple[bool, tuple[Selection, ...]]:
        inverted = text.startswith("!")
        offset += inverted
        kept: list[Selection] = []
        for part in text[inverted:].split(","):
            bare = part.strip(" \t")
            selection = Selection(text=bare.removeprefix("?"), optional=bare.startswith("?"))
            self.check_selection(selection, offset)
            kept.append(selection)
            offset += len(part) + 1
        return inverted, tuple(kept)

    def check_selection(self, selection: Selection, offset: int) -> None:
        if not selection.text:
            self.refuse("expected a system call's name or number, %class, /regex, all or none", offset)
        try:
            known = find_members(selection.text) is not None
        except ValueError as error:
            self.refuse(f"{selection.text!r} is no regular expression: {error}", offset)
        if selection.text.startswith("/") and not known:
            self.refuse(f"{selection.text!r} matches no system call", offset)
        if not known and not selection.optional:
            self.refuse(names.unknown_call(selection.text), offset)

    def token(self, part: str, offset: int) -> tuple[str, object]:
        key, equals, value = part.strip(" \t").partition("=")
        if not equals:
            self.refuse(f"expected KEY=VALUE after a colon, found {part!r}", offset)
        offset += len(part) - len(part.lstrip(" \t")) + len(key) + 1
        self.check_key(key, offset - len(key) - 1)
        match key:
            case "error":
                return key, self.known(syscalls.errno_number(value), names.unknown_errno(value), offset)
            case "retval":
                return key, self.known(_integer(value), f"{value!r} is no number that fits in 64 bits", offset)
            case "signal":
                return key, self.known(names.signal_number(value), names.unknown_signal(value), offset)
            case "delay_enter" | "delay_exit":
                wrong = f"{value!r} is no length of time; write microseconds, or a number with s, ms, us or ns"
                return f"{key}_ns", self.known(names.duration_ns(value, "us"), wrong, offset)
            case "when":
                wrong = f"{value!r} is no window; write F, F+, F+S, F..L or F..L+S, with 1 <= F <= L <= {LARGEST_COUNT}"
                return key, self.known(parse_when(value), wrong, offset)
            case "poke_enter" | "poke_exit":
                return key, self.pokes(value, offset)
            case _:
                return key, self.harmless(value, offset)

    def check_key(self, key: str, offset: int) -> None:
        if key not in KEYS:
            self.refuse(f"{key!r} is no part of an inject expression{syscalls.close_to(key, KEYS)}", offset)

    def known(self, value: object, wrong: str, offset: int) -> object:
        return self.refuse(wrong, offset) if value is None else value

    def pokes(self, text: str, offset: int) -> tuple[Poke, ...]:
        kept: dict[int, Poke] = {}
        for part in text.split(","):
            found = re.fullmatch(rf"@arg([1-6])=((?:[0-9a-fA-F]{{2}}){{1,{POKED_BYTES}}})", part)
            if found is None:
                rule = f"write @argN=HEX with N from 1 to 6 and pairs of hexadecimal digits, {POKED_BYTES} at most"
                self.refuse(f"{part!r} is no poke; {rule}", offset)
            number = int(found[1])
            if number in kept:
                self.refuse(f"@arg{number} stands here twice; leave one", offset)
            kept[number] = Poke(argument=number, data=bytes.fromhex(found[2]))
            offset += len(part) + 1
        return tuple(kept.values())

    def harmless(self, value: str, offset: int) -> str:
        if value not in syscalls.table():
            self.refuse(names.unknown_call(value), offset)
        if "pure" not in syscalls.get(value).classes:
            self.refuse(f"syscall={value}: only a call without side effects (%pure) may run instead", offset)
        return value


def _integer(text: str) -> int | None:
    found = re.fullmatch(r"-?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19})", text)
    value = int(text, 16 if "x" in text.lower() else 10) if found else None
    return value if value is not None and -LONGEST <= value < LONGEST else None
