"""The policy language as text: what it accepts, and that printing is the inverse of parsing."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firedamp.errors import PolicyError
from inject.linux import syscalls
from inject.policy import check, lint, parse, parse_strace, targets, unparse, unparse_rule
from inject.policy.model import (
    ATTRIBUTES,
    Always,
    And,
    Ask,
    Chance,
    Child,
    Commit,
    Condition,
    Corrupt,
    Deny,
    Identity,
    Not,
    Operator,
    Or,
    Partial,
    Permit,
    Poke,
    Policy,
    Retval,
    Rule,
    Section,
    Selection,
    StraceRule,
    Suppress,
    When,
)

EXTENSIONS = """# firedamp policy 1
write: path match "/srv/*" and fd neq "2" then deny[enospc] when 3..9+2
openat: filename eq "/etc/app.conf" then deny[eio] once
bind: true then permit limit 1                      # and what follows is denied
open: filename sub "/dev/" then permit xor device
connect: sockaddr match "*:53" then permit xor device
read: path match "$CWD/*" then partial[7] after 2
close: path match "*.db" then commit[eio]
fsync: true then deny[eio] probability 0.1 seed 42
%memory: caller "load_config" then deny[enomem]
child "/bin/sh" { execve: true then deny[eacces] }
inject=read:error=EINTR:when=5                      # a line of strace's is legal, and prints back as such
"""

BOOK = r"""
Policy: /bin/ls, Emulation: native
	native-munmap: permit
	native-mmap: permit
	native-mprotect: permit
	native-fsread: filename eq "/etc/malloc.conf" then deny[enoent]
	native-open: filename match "$HOME/*" and oflags sub "ro" then permit
	native-fswrite: filename eq "$HOME/.gaimrc" then permit
	native-connect: sockaddr match "inet-*:53" then permit
	native-fsread: filename match "/usr/lib/*" then permit
	native-fsread: filename eq "*" then permit log
	native-fswrite: filename eq "/dev/bpf0" then permit as root
	native-_sysctl: permit
	native-issetugid: permit
	native-break: permit
	native-getdirentries: \
		permit
	native-exit: deny
"""


def test_every_extension_parses_and_prints_back() -> None:
    policy = parse(EXTENSIONS)
    assert len(policy.rules) == 11
    assert parse(unparse(policy)) == policy
    assert unparse(policy).splitlines()[-1] == "inject=read:error=EINTR:when=5"


def test_the_page_of_policies_shows_legal_ones() -> None:
    page = Path(__file__).parents[2] / "docs" / "policies.md"
    policy = check(parse(page.read_text().split("```")[1]))
    assert len(policy.rules) > 10 and parse(unparse(policy)) == policy


def test_the_book_s_examples_parse_with_their_bsd_names() -> None:
    policy = parse(BOOK)
    rules = {rule.syscall: rule for rule in policy.rules if isinstance(rule, Rule)}
    assert targets(rules["break"]) == ("brk",)
    assert targets(rules["getdirentries"]) == ("getdents", "getdents64")
    assert targets(rules["issetugid"]) == ()
    messages = [str(note) for note in lint(policy)]
    assert sum("can never fire" in message for message in messages) == 2
    assert any("'*'" in message and "did you mean match?" in message for message in messages)
    assert parse(unparse(policy)) == policy


def test_and_binds_tighter_than_or_and_the_mix_is_noted() -> None:
    policy = parse('open: path eq "/1" or path eq "/2" and fd eq "3" then deny')
    (rule,) = policy.rules
    assert isinstance(rule, Rule) and isinstance(rule.expr, Or) and isinstance(rule.expr.terms[1], And)
    assert [note.span.column for note in lint(policy)] == [7]
    assert lint(parse('open: path eq "/1" or (path eq "/2" and fd eq "3") then deny')) == ()


def test_an_errno_that_the_call_never_returns_is_noted() -> None:
    assert ["write never returns EXDEV" in str(note) for note in lint(parse("inject=write:error=EXDEV"))] == [True]
    assert ["none of these calls returns ECHILD" in str(note) for note in lint(parse("write: deny[echild]"))] == [True]
    assert lint(parse("inject=write:error=ENOSPC\nwrite: deny[enospc]")) == ()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("inject=read:error=5", "inject=read:error=EIO"),
        ("inject = read , write : error=EIO", "inject=read,write:error=EIO"),
        ("inject=?futex_time64,%net:signal=15", "inject=?futex_time64,%net:signal=SIGTERM"),
        ("inject=!close:retval=-0x10:when=2..8+3", "inject=!close:retval=-16:when=2..8+3"),
        ("inject=all:delay_enter=1500:delay_exit=2s", "inject=all:delay_enter=1500us:delay_exit=2s"),
        ("inject=1:error=EIO:when=4+", "inject=1:error=EIO:when=4+"),
        ("inject=/^f?open(at)?2?$:error=EIO", "inject=/^f?open(at)?2?$:error=EIO"),
        ("inject=nanosleep:retval=0:syscall=getpid", "inject=nanosleep:retval=0:syscall=getpid"),
        (
            "inject=read:poke_enter=@arg2=00FF,@arg1=0a:poke_exit=@arg2=41",
            "inject=read:poke_enter=@arg2=00ff,@arg1=0a:poke_exit=@arg2=41",
        ),
        ("fault=openat", "fault=openat"),
        ("fault=openat:error=ENOENT:when=3..3+7", "fault=openat:error=ENOENT:when=3"),
    ],
)
def test_a_strace_expression_prints_back(text: str, printed: str) -> None:
    rule = parse_strace(text)
    assert unparse_rule(rule) == printed
    assert parse_strace(printed) == rule


def test_a_strace_name_is_one_call_and_a_rule_s_name_a_family() -> None:
    assert targets(parse_strace("inject=write:error=EIO")) == ("write",)
    assert targets(parse("write: deny").rules[0]) == ("write", "writev", "pwrite64", "pwritev", "pwritev2")
    assert targets(parse_strace("inject=/^open(at.*)?$:error=EIO")) == ("open", "openat", "openat2")
    everything = targets(parse_strace("inject=!close:error=EIO"))
    assert "close" not in everything and len(everything) == len(syscalls.table()) - 1


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ('open: sockdom eq "AF_INET" then deny', ["1:7: open has no sockdom: this test never holds"]),
        ('socket: sockdom eq "AF_INET" then deny\nread: fd eq "0" and path sub "x" then deny', []),
        ("mkdir: permit as root", ["1:1: as root grants nothing"]),
        ("mkdir: permit xor a\nrmdir: permit xor b", ["1:1: no other rule is in the group a", "2:1: no other rule"]),
        ("mkdir: permit xor a\nrmdir: permit xor a", []),
        ("mkdir: permit\nmkdirat: deny\nrmdir: deny", ["2:1: line 1 decides every such call"]),
        ("rmdir@64: deny\nunlinkat: deny\nrmdir: deny", ["3:1: earlier rules decide every such call"]),
        ("mkdir: deny once\nmkdir: deny", []),
        ("mkdir: permit once", ["1:1: after its last permit this rule denies (EPERM)"]),
        ("mkdir: delay[1s] once\nrmdir: signal[SIGTERM] limit 2", []),
        ("mkdir: deny, if user = root\nmkdir: permit", []),
        ('mkdir: deny\nchild "/bin/sh" { mkdir: permit }', []),
        ("fsread: permit\nopen: deny", []),
        ("inject=read:error=EIO\nread: deny", []),
        (
            "Policy: /bin/ls, Emulation: linux\ndetached\nread: deny",
            ["3:1: /bin/ls is detached: the rules of its section never fire"],
        ),
    ],
)
def test_what_may_surprise_is_noted(text: str, notes: list[str]) -> None:
    found = [str(note) for note in lint(check(parse(text)))]
    assert len(found) == len(notes) and all(map(str.startswith, found, notes)), found


def test_what_the_documents_show_can_be_carried_out() -> None:
    root = Path(__file__).parents[2]
    texts = [(root / name).read_text() for name in ("README.md", "docs/policies.md", "docs/sweeps.md")]
    texts.append((root / "firedamp" / "cli" / "inject.py").read_text())
    blocks = re.findall(r"^```\n(.*?)^```", (root / "docs" / "policies.md").read_text(), re.DOTALL | re.MULTILINE)
    policies = [block for block in blocks if not block.startswith("firedamp ")]
    rules = [rule for text in texts for rule in re.findall(r" -e (?:'([^']+)'|(inject=\w[\w:=@+.]+))", text)]
    assert len(policies) >= 2 and len(rules) >= 4
    for each in (*policies, *map("".join, rules)):
        check(parse(each))


def test_a_choice_may_lie_in_two_parts() -> None:
    parts = [parse("mkdir: permit xor a"), parse("rmdir: permit xor a")]
    assert lint(parts[0], parts) == () and len(lint(parts[0])) == 1


def test_a_window_holds_as_in_strace() -> None:
    def held(text: str) -> list[int]:
        (rule,) = parse(f"write: true then deny when {text}").rules
        assert rule.when is not None
        return [nth for nth in range(1, 12) if rule.when.holds(nth)]

    assert held("3") == [3]
    assert held("9+") == [9, 10, 11]
    assert held("2+4") == [2, 6, 10]
    assert held("2..4") == [2, 3, 4]
    assert held("1..8+3") == [1, 4, 7]


# --- parse . print = identity, over whole policies

calls = st.sampled_from(
    ("read", "write", "openat", "close", "fsread", "fswrite", "%file", "%%stat", "issetugid", "rename", "write@64")
)
texts = st.text(max_size=20)
counts = st.integers(1, 10**9)
errnos = st.integers(1, 4095)
signals = st.integers(1, 64)
delays = st.integers(0, 86_400 * 10**6).map(lambda microseconds: microseconds * 1000)
whens = st.one_of(
    st.builds(lambda first: When(first=first, last=first), st.integers(1, 65535)),
    st.builds(
        lambda first, step: When(first=first, last=None, step=step), st.integers(1, 65535), st.integers(1, 65535)
    ),
    st.builds(
        lambda first, more, step: When(first=first, last=first + more, step=step),
        st.integers(1, 30000),
        st.integers(1, 30000),
        st.integers(1, 65535),
    ),
)
exprs = st.recursive(
    st.one_of(
        st.builds(Always),
        st.builds(
            Condition,
            attribute=st.sampled_from(sorted(ATTRIBUTES)),
            index=st.none() | st.integers(0, 5),
            operator=st.sampled_from([operator for operator in Operator if operator is not Operator.RE]),
            text=texts,
        ),
        st.builds(
            Condition,
            attribute=st.just("filename"),
            operator=st.just(Operator.RE),
            text=st.sampled_from(("^/etc/.*[.]conf$", "a|b", "[[:digit:]]+", "x{2,3}", r"\.")),
        ),
    ),
    lambda inner: st.one_of(
        st.builds(Not, term=inner),
        st.builds(And, terms=st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, terms=st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
verdicts = st.one_of(
    st.builds(Permit, mode=st.sampled_from((None, "inherit", "detach"))),
    st.builds(Deny, errno=st.none() | errnos),
    st.builds(Suppress, errno=errnos),
    st.builds(Commit, errno=errnos),
    st.builds(Partial, count=counts),
    st.builds(Retval, value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(Corrupt, count=counts, seed=st.integers(0, 10**9)),
    st.builds(Ask, patience_ns=st.none() | delays),
)
words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
limits = st.one_of(st.just({}), st.just({"once": True}), st.builds(lambda limit: {"limit": limit}, counts))
rules = st.builds(
    lambda limit, **fields: Rule(**fields, **limit),
    limit=limits,
    syscall=calls,
    emulation=st.sampled_from((None, "native", "linux")),
    expr=exprs,
    verdict=verdicts,
    signal=st.none() | signals,
    delay_entry_ns=delays,
    delay_exit_ns=delays,
    log=st.booleans(),
    run_as=st.none() | st.tuples(words, st.none() | words),
    when=st.none() | whens,
    after=st.none() | counts,
    until_freed=st.booleans(),
    chance=st.none()
    | st.builds(Chance, probability=st.floats(0.0001, 1).map(lambda p: round(p, 6)), seed=st.integers(0, 10**9)),
    group=st.none() | words,
    identity=st.none()
    | st.builds(
        Identity,
        subject=st.sampled_from(("user", "group")),
        comparison=st.sampled_from(("=", "!=", "<", ">")),
        name=words,
    ),
)
selections = st.builds(
    Selection,
    text=st.sampled_from(("read", "write", "%net", "%%stat", "/^open", "all", "none", "0", "openat@64")),
    optional=st.booleans(),
)
pokes = st.lists(
    st.builds(Poke, argument=st.integers(1, 6), data=st.binary(min_size=1, max_size=9)),
    max_size=3,
    unique_by=lambda poke: poke.argument,
).map(tuple)
strace_rules = st.builds(
    lambda result, **fields: StraceRule(**fields, **result),
    result=st.one_of(
        st.builds(lambda error: {"error": error}, errnos),
        st.builds(lambda retval: {"retval": retval}, st.integers(-(2**63), 2**63 - 1)),
    ),
    selections=st.lists(selections, min_size=1, max_size=3).map(tuple),
    inverted=st.booleans(),
    signal=st.none() | signals,
    syscall=st.none() | st.just("getpid"),
    delay_enter_ns=delays,
    delay_exit_ns=delays,
    poke_enter=pokes,
    poke_exit=pokes,
    when=st.none() | whens,
)
sections = st.builds(
    Section,
    program=st.sampled_from(("/bin/ls", "/opt/a b/c")),
    emulation=st.sampled_from(("native", "linux")),
    detached=st.booleans(),
)
children = st.recursive(
    st.one_of(rules, strace_rules),
    lambda inner: st.builds(
        Child, program=texts.map(lambda text: "/" + text), rules=st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=4,
)
policies = st.builds(Policy, items=st.lists(st.one_of(children, sections), max_size=4).map(tuple))


@settings(max_examples=150)
@given(policies)
def test_parse_is_the_inverse_of_print(policy: Policy) -> None:
    text = unparse(policy)
    assert parse(text) == policy
    assert unparse(parse(text)) == text


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet='inject=fault:write"\\ \n[]{}(),.+-09%/?!#then deny and or not true', max_size=80),
        st.builds(
            lambda at, insert: EXTENSIONS[:at] + insert + EXTENSIONS[at + len(insert) :],
            st.integers(0, len(EXTENSIONS)),
            st.text(max_size=4),
        ),
    )
)
def test_only_a_policy_error_leaves_the_parser(text: str) -> None:
    try:
        policy = parse(text)
    except PolicyError as refused:
        assert refused.line >= 1 and refused.column >= 1 and refused.message
    else:
        assert parse(unparse(policy)) == policy
        lint(policy)
        with suppress(PolicyError):
            check(policy)
