"""strace's options as rules: the same calls, the same faults, and a word where Linux and strace differ."""

import pytest

from firedamp.errors import FiredampError
from inject.policy import check, parse, targets, unparse
from inject.policy.model import HEADER, Rule
from inject.policy.strace import parse_strace, selected
from inject.policy.translate import translate


def lines(options: str) -> list[str]:
    policy = translate(options).policy
    assert check(parse(unparse(policy))) == policy
    return unparse(policy).removeprefix(HEADER + "\n").splitlines()


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ("inject=write:error=ENOSPC", ["write@64: true then deny[enospc]"]),
        ("inject=close:error=5:when=2..8+3", ["close: true then deny[eio] when 2..8+3"]),
        ("fault=getpid", ["getpid: true then deny[enosys]"]),
        ("inject=%net:error=EIO", ["%net: true then deny[eio]"]),
        (
            "inject=/^fsync$,fdatasync:retval=0:delay_exit=5",
            ["fsync@64: true then retval[0] delay_exit[5us]", "fdatasync: true then retval[0] delay_exit[5us]"],
        ),
        ("inject=mkdir:signal=USR1:delay_enter=1s", ["mkdir@64: true then permit signal[SIGUSR1] delay[1s]"]),
        ("-f -P /a -P '/b c' -e inject=lseek:error=EIO", ['lseek: path eq "/a" or path eq "/b c" then deny[eio]']),
        ("--trace-path=/a --inject=lseek:error=EIO", ['lseek: path eq "/a" then deny[eio]']),
        ("-einject=lseek:error=EIO", ["lseek: true then deny[eio]"]),
        # of two expressions for one call strace heeds the later
        (
            "-e inject=lseek:error=EIO -e fault=lseek:error=EBADF",
            ["lseek: true then deny[ebadf]", "lseek: true then deny[eio]"],
        ),
        ("inject=read:poke_exit=@arg2=00", ["inject=read:poke_exit=@arg2=00"]),
        ("inject=lseek:retval=0:syscall=getpid", ["inject=lseek:retval=0:syscall=getpid"]),
    ],
)
def test_the_rules_of_an_expression(options: str, rules: list[str]) -> None:
    assert lines(options) == rules


@pytest.mark.parametrize(
    "options", ["inject=%net:error=EIO:when=2", "inject=!all:error=EIO", "inject=!%desc:error=EIO"]
)
def test_exactly_the_calls_of_the_expression(options: str) -> None:
    rules = translate(options).policy.rules
    assert all(isinstance(rule, Rule) and len(targets(rule)) == 1 for rule in rules)
    assert [targets(rule)[0] for rule in rules] == [*selected(parse_strace(options))]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("inject=close:error=EIO", "strace leaves it open"),
        ("inject=read:error=EINTR", "when a handler has run"),
        ("inject=connect:error=EINTR", "connect: it happens, then fails"),
        ("inject=write:error=EPIPE", "SIGPIPE"),
        ("inject=brk:error=ENOMEM", "old break"),
        ("inject=write:error=EIO:when=3", "strace counts for each thread"),
        ("inject=read:poke_exit=@arg2=00", "no form of their own"),
        ("-P /a -e inject=read:poke_exit=@arg2=00", "takes no filter"),
    ],
)
def test_what_is_not_quite_the_same_is_noted(options: str, word: str) -> None:
    assert any(word in note for note in translate(options).notes)
    assert translate("inject=write:error=ENOSPC").notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "no expression is in it"),
        ("-P /a", "no expression is in it"),
        ("inject=wriet:error=EIO", "did you mean write?"),
        ("-c inject=write:error=EIO", "'-c': neither"),
        ("-e trace=open", "expected inject=SET"),
        ("-P 'a", "No closing quotation"),
    ],
)
def test_what_strace_would_refuse_is_refused(options: str, message: str) -> None:
    with pytest.raises(FiredampError, match=message.replace("?", r"\?")):
        translate(options)
