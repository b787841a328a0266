"""What a run did, as rules: grouped as systrace does, globs where letters are chance, added and never rewritten."""

from inject.learn import Learned, Observation, grown, pattern
from inject.policy import parse
from inject.policy.model import Section

MACROS = {"HOME": "/home/ann", "CWD": "/home/ann/work"}
LS = "/usr/bin/ls"


def seen(syscall: str, *names: str, attribute: str = "filename") -> Observation:
    return Observation(program=LS, syscall=syscall, attribute=attribute if names else "", names=names)


def rules(*observations: Observation, text: str = "") -> list[str]:
    learned = grown(text, observations, ("ls",), MACROS)
    parse(learned.text)
    return [line for line in learned.text.splitlines() if line and not line.startswith(("#", "Policy"))]


def test_names_are_literal_where_they_mean_something() -> None:
    assert rules(seen("fsread", "/etc/passwd"), seen("read")) == [
        'fsread: filename eq "/etc/passwd" then permit',
        "read: permit",
    ]


def test_home_and_the_working_folder_are_macros_the_longer_first() -> None:
    assert pattern("/home/ann/work/a.c", MACROS) == "$CWD/a.c"
    assert pattern("/home/ann/.rc", MACROS) == "$HOME/.rc"
    assert pattern("/home/anna/.rc", MACROS) == "/home/anna/.rc"
    assert pattern("/x", {"HOME": "/", "CWD": ""}) == "/x"


def test_chance_becomes_a_glob() -> None:
    assert pattern("/usr/lib/x86_64-linux-gnu/libm.so.6", {}) == "/usr/lib/x86_64-linux-gnu/libm.so.*"
    assert pattern("/proc/4711/status", {}) == "/proc/*/status"
    assert pattern("/tmp/sortQx3k9Z", {}) == "/tmp/sort??????"
    assert pattern("/tmp/cc9sKw2a.o", {}) == "/tmp/cc??????.o"
    assert pattern("/tmp/report", {}) == "/tmp/report"
    assert pattern("/srv/sortQx3k9Z", {}) == "/srv/sortQx3k9Z"
    assert pattern("pipe:[4711]", {}) == "pipe:*"


def test_marks_of_globs_in_a_name_stay_letters() -> None:
    assert rules(seen("fsread", "/srv/a*b")) == ['fsread: filename eq "/srv/a*b" then permit']
    assert rules(seen("fsread", "/tmp/a*bQx3k9Z")) == ['fsread: filename match "/tmp/a\\\\*b??????" then permit']


def test_a_folder_with_many_names_is_what_is_meant_unless_it_is_broad() -> None:
    many = [seen("fsread", f"/srv/data/{number}") for number in range(8)]
    assert rules(*many) == ['fsread: filename match "/srv/data/*" then permit']
    assert len(rules(*many[:7])) == 7
    assert len(rules(*(seen("fsread", f"/etc/{number}") for number in range(20)))) == 20


def test_two_names_and_an_address() -> None:
    assert rules(seen("rename", "/srv/a", "/srv/b")) == [
        'rename: filename eq "/srv/a" and filename[1] eq "/srv/b" then permit'
    ]
    assert rules(seen("connect", "inet-[127.0.0.1]:53", attribute="sockaddr")) == [
        'connect: sockaddr eq "inet-[127.0.0.1]:53" then permit'
    ]


def test_a_policy_grows_and_keeps_what_a_person_wrote() -> None:
    mine = "# firedamp policy 1\n# mine\nwrite: permit\n"
    once = grown(mine, [seen("read")], ("ls", "-l"), {})
    assert once.text.startswith(mine) and once.added == (1,)
    assert "# run 1: 1 rule added, ls -l\n" in once.text
    twice = grown(once.text, [], ("ls",), {})
    assert twice.text.startswith(once.text) and twice.added == (1, 0)
    assert [type(item) for item in parse(twice.text).items].count(Section) == 1


def test_how_sufficient_the_learning_is() -> None:
    assert "not learned enough" in Learned(text="", added=(3,)).sufficiency()
    assert "95 % of runs" in Learned(text="", added=(3, 0)).sufficiency()
    assert "nor did the 2 before it" in Learned(text="", added=(3, 0, 0, 0)).sufficiency()
    assert "63 %" in Learned(text="", added=(3, 0, 0, 0)).sufficiency()
