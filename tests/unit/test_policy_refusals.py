"""What a policy may not say, and that each refusal names its place and its remedy."""

import pytest

from firedamp.errors import PolicyError
from inject.policy import check, parse

LONG = "9" * 5000
DEEP = "(" * 60

REFUSED = [
    # the frame of a rule
    ("write", 1, 6, 'expected ":" after write'),
    ("write deny", 1, 7, 'expected ":" after write'),
    ("write:", 1, 7, "expected a filter"),
    ("write: then deny", 1, 8, "no attribute"),
    ("write: true", 1, 12, 'expected "then"'),
    ("write: true deny", 1, 13, 'expected "then"'),
    ("write: true then", 1, 17, "expected an action"),
    ("write: true then allow", 1, 18, "expected an action (permit, deny"),
    ("write: permit deny", 1, 15, "expected one of signal"),
    (": deny", 1, 1, "expected a rule"),
    ("42: deny", 1, 1, "expected a rule"),
    ("read: deny\n\nwrite: true\n", 3, 12, "found the end of the line"),
    ("read: deny\nwrite: deny ]", 2, 13, "expected one of"),
    ("read: deny; write: deny", 1, 11, "';' means nothing here"),
    ("read: deny }", 1, 12, "expected the end of the rule"),
    ("# firedamp policy 2\nread: deny", 1, 19, "version '2' is not known"),
    ("Policy: ls, Emulation: linux", 1, 1, "expected Policy: /absolute/program"),
    ("Policy: /bin/ls", 1, 1, "expected Policy:"),
    ("Policy: /bin/ls, Emulation: freebsd", 1, 1, "emulation 'freebsd' is none of native, linux"),
    # names
    ("wriet: deny", 1, 1, "did you mean write?"),
    ("native-wriet: deny", 1, 1, "did you mean write?"),
    ("freebsd-open: deny", 1, 1, "emulation 'freebsd'"),
    ("%files: deny", 1, 1, "did you mean %file?"),
    ("%: deny", 1, 1, "means nothing here"),
    ('open: filname eq "x" then deny', 1, 7, "did you mean filename?"),
    ("open: True then deny", 1, 7, "'True' is no attribute"),
    ("mallok: deny", 1, 1, "did you mean malloc?"),
    # filters
    ('open: filename "x" then deny', 1, 16, "expected an operator (eq, neq"),
    ('open: filename is "x" then deny', 1, 16, "expected an operator"),
    ("open: filename eq x then deny", 1, 19, 'a "string" after eq'),
    ('open: filename eq "x then deny', 1, 19, "the string has no end"),
    ('open: filename eq "a\\qb" then deny', 1, 21, "\\q is no escape"),
    ('open: filename eq "a" and then deny', 1, 27, "no attribute"),
    ('open: filename eq "a" and', 1, 26, "expected a filter"),
    ('open: or filename eq "a" then deny', 1, 7, "'or' is no attribute"),
    ('open: (filename eq "a" then deny', 1, 24, 'expected ")"'),
    ('open: filename eq "a") then deny', 1, 22, 'expected "then"'),
    ("open: () then deny", 1, 8, "no attribute"),
    ("open: not then deny", 1, 11, "no attribute"),
    (f"open: {DEEP}true then deny", 1, 57, "nested deeper than 50"),
    ("open: " + "not " * 60 + "true then deny", 1, 207, "nested deeper than 50"),
    ('rename: filename[x] eq "a" then deny', 1, 18, "expected an index"),
    ('rename: filename[9] eq "a" then deny', 1, 18, "no index from 0 to 5"),
    ('rename: filename[1 eq "a" then deny', 1, 20, 'expected "]"'),
    ('open: filename re "a(b" then deny', 1, 19, "no POSIX extended regular expression"),
    ('open: filename re "[a" then deny', 1, 19, "a [ has no ]"),
    ('open: filename re "a*?" then deny', 1, 19, "not defined in a POSIX"),
    ('open: filename re "[[:letter:]]" then deny', 1, 19, "no character class"),
    ('open: filename re "a\\\\" then deny', 1, 19, "lone backslash"),
    # actions
    ("write: true then deny[ENOSPCC]", 1, 23, "did you mean ENOSPC?"),
    ("write: true then deny[ERESTARTSYS]", 1, 23, "is no errno"),
    ("write: true then deny[0]", 1, 23, "1..4095"),
    ("write: true then deny[4096]", 1, 23, "1..4095"),
    ("write: true then deny[]", 1, 23, "expected an errno"),
    ("write: true then deny[eio", 1, 26, 'expected "]"'),
    ("write: true then commit", 1, 24, 'expected "["'),
    ("write: true then suppress", 1, 26, 'expected "["'),
    ("write: true then partial[0]", 1, 26, "no short count"),
    ("write: true then partial[-1]", 1, 26, "is no number of bytes"),
    (f"write: true then partial[{LONG}]", 1, 26, "is no number of bytes"),
    ("write: true then retval[many]", 1, 25, "expected a value"),
    ("write: true then retval[9223372036854775808]", 1, 25, "is no value"),
    ("execve: true then permit[all]", 1, 26, "expected inherit or detach"),
    ("write: true then signal[SIGFOO]", 1, 25, "is no signal"),
    ("write: true then signal[65]", 1, 25, "1..64"),
    ("write: true then delay[5]", 1, 24, "no length of time"),
    ("write: true then delay[1.5s]", 1, 24, "whole number"),
    ("write: true then delay[100000s]", 1, 24, "up to a day"),
    # modifiers
    ("write: true then deny once once", 1, 28, "stands here twice"),
    ("write: true then deny once limit 2", 1, 28, "once is limit 1"),
    ("write: true then deny limit", 1, 28, "expected a count"),
    ("write: true then deny limit 0", 1, 29, "is no count from 1"),
    ("write: true then deny after x", 1, 29, "expected a count"),
    ("write: true then deny when", 1, 27, "expected a window"),
    ("write: true then deny when 0", 1, 28, "is no window"),
    ("write: true then deny when 9..3", 1, 28, "1 <= F <= L"),
    ("write: true then deny when 3+0", 1, 28, "is no window"),
    ("write: true then deny when 3..", 1, 31, "the last call of the window"),
    ("write: true then deny probability 2", 1, 35, "is no probability"),
    ("write: true then deny probability 0", 1, 35, "above 0"),
    ("write: true then deny probability 0.5 seed", 1, 43, "expected a seed"),
    ("write: true then deny[enospc] until", 1, 36, "expected freed"),
    ("write: true then deny[enospc] until freed until freed", 1, 43, "stands here twice"),
    ("write: true then deny xor", 1, 26, "the name of a group"),
    ("write: true then permit as", 1, 27, "expected a user"),
    ("write: true then permit as root:", 1, 33, "expected a group"),
    ("write: true then permit, if", 1, 28, "expected user or group"),
    ("write: true then permit, if user ~ root", 1, 34, "means nothing here"),
    ("write: true then permit, when 3", 1, 26, 'expected "if"'),
    # children
    ('child "/bin/sh" execve: deny', 1, 17, 'expected "{"'),
    ('child "/bin/sh" { execve: deny', 1, 31, 'or "}", found the end of the policy'),
    ('child "/bin/sh" { execve deny }', 1, 26, 'expected ":" after execve'),
    # strace
    ("inject=write", 1, 8, "nothing to do: add error="),
    ("inject=:error=EIO", 1, 8, "expected a system call's name"),
    ("inject=write,:error=EIO", 1, 14, "expected a system call's name"),
    ("inject=wriet:error=EIO", 1, 8, "did you mean write?"),
    ("inject=%files:error=EIO", 1, 8, "did you mean %file?"),
    ("inject=/zzz:error=EIO", 1, 8, "matches no system call"),
    ("inject=/(:error=EIO", 1, 8, "no regular expression"),
    ("inject=9999:error=EIO", 1, 8, "is no system call"),
    ("inject=write@32:error=EIO", 1, 8, "is no system call"),
    ("inject=write:error=ENOSPCC", 1, 20, "did you mean ENOSPC?"),
    ("inject=write:error=", 1, 20, "is no errno"),
    ("inject=write:error=EIO:error=EIO", 1, 24, "stands here twice"),
    ("inject=write:error=EIO:retval=3", 1, 8, "exclude each other"),
    ("inject=write:eror=EIO", 1, 14, "did you mean error?"),
    ("inject=write:error", 1, 14, "expected KEY=VALUE"),
    ("inject=write:retval=x", 1, 21, "fits in 64 bits"),
    ("inject=write:signal=SIGFOO", 1, 21, "is no signal"),
    ("inject=write:delay_enter=1h", 1, 26, "no length of time"),
    ("inject=write:error=EIO:when=0", 1, 29, "is no window"),
    ("inject=write:error=EIO:when=65536", 1, 29, "is no window"),
    ("inject=write:error=EIO:when=3..2", 1, 29, "is no window"),
    ("inject=write:retval=0:syscall=write", 1, 31, "without side effects"),
    ("inject=write:poke_enter=@arg7=00", 1, 25, "N from 1 to 6"),
    ("fault=write:signal=15", 1, 1, "write inject= for the others"),
    ("read: deny\n  inject=write:error=ENOSPCC", 2, 22, "did you mean ENOSPC?"),
]


@pytest.mark.parametrize(("text", "line", "column", "fragment"), REFUSED)
def test_a_malformed_policy_is_refused_at_its_place(text: str, line: int, column: int, fragment: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(text, source="p")
    assert fragment in refused.value.message
    assert (refused.value.line, refused.value.column) == (line, column)
    assert str(refused.value).startswith(f"p:{line}:{column}: ")


ALLOCATIONS = [
    ("read: deny\nmalloc: true then deny[eio]", 2, 1, "an allocation can only fail with ENOMEM"),
    ("malloc: true then retval[0]", 1, 1, "an allocation can only fail with ENOMEM"),
    ("malloc: true then permit", 1, 1, "write deny[enomem]"),
    ("malloc: deny delay[1s]", 1, 1, "no signal and no delay"),
    ("malloc: true then deny[enomem] until freed", 1, 1, "what free(3) gives back is not seen"),
    ("write: true then deny[eio] until freed", 1, 1, "edquot, emfile, enfile, enomem and enospc"),
    ("write: true then permit until freed", 1, 1, "which this rule does not deny"),
    ("malloc: deny signal[SIGUSR1]", 1, 1, "no signal and no delay"),
    ('malloc: site eq "0" and path eq "/x" then deny', 1, 25, "an allocation has no path"),
]


@pytest.mark.parametrize(("text", "line", "column", "fragment"), ALLOCATIONS)
def test_an_allocation_fails_in_one_way_only(text: str, line: int, column: int, fragment: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check(parse(text, source="p"))
    assert fragment in refused.value.message
    assert (refused.value.line, refused.value.column) == (line, column)


def test_an_allocation_is_selected_by_its_caller_and_counted() -> None:
    for text in ('malloc: caller "f" then deny', "malloc: deny[enomem] when 3+", "malloc: deny probability 0.5 log"):
        policy = parse(text)
        assert check(policy) == policy
