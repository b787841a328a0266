"""Rules that change the program's data, on real programs: corrupt, and strace's pokes, which do what strace's do."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.decide.decider import Decider, DecisionReport
from inject.policy import parse

pytestmark = [pytest.mark.needs("gcc", "ptrace", "seccomp")]

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"))
# Reads 8 bytes, shows them, writes from a read-only page, and shows that the page is whole.
SOURCE = r"""
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void) {
    static const char text[] = "abcdefgh\n";
    char buffer[9] = {0}, left[5] = {0}, right[5] = {0};
    long count = read(0, buffer, 8);
    printf("%ld %s\n", count, buffer);
    struct iovec parts[] = {{left, 4}, {right, 4}};
    count = readv(0, parts, 2);
    printf("%ld %s %s\n", count, left, right);
    fflush(stdout);
    write(1, text, sizeof text - 1);
    puts(memcmp(text, "abcdefgh\n", sizeof text) ? "changed" : "whole");
}
"""
INPUT = b"12345678ABCDEFGH"
UNTOUCHED = b"8 12345678\n8 ABCD EFGH\nabcdefgh\nwhole\n"


class Bench:
    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor, self.folder = executor, folder
        (folder / "in").write_bytes(INPUT)
        (folder / "p.c").write_text(SOURCE)
        subprocess.run(["gcc", "-w", "-o", "p", "p.c"], cwd=folder, check=True)

    def run(self, policy: str) -> tuple[bytes, DecisionReport]:
        decider = Decider(parse(policy), folder=str(self.folder))
        execution = Execution(
            argv=("./p",),
            environment=ENVIRONMENT,
            folder=self.folder,
            stdin=self.folder / "in",
            interceptor=decider,
        )
        trace = self.executor.run(execution)
        assert isinstance(trace.report, DecisionReport)
        return trace.outcome.stdout, trace.report


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Executor() as executor:
        yield Bench(executor, tmp_path_factory.mktemp("data"))


def differing(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_what_is_read_comes_back_corrupted_and_always_alike(bench: Bench) -> None:
    stdout, report = bench.run('read: path match "*/in" then corrupt[3] seed 7')
    lines, untouched = stdout.split(b"\n", 2), UNTOUCHED.split(b"\n", 2)
    assert [differing(lines[at], untouched[at]) for at in range(2)] == [3, 3]  # read and readv
    assert lines[2] == untouched[2]
    assert [(strike.effect, strike.took) for strike in report.strikes] == [("corrupt", True)] * 2
    assert bench.run('read: path match "*/in" then corrupt[3] seed 7')[0] == stdout
    assert bench.run('read: path match "*/in" then corrupt[3] seed 8')[0] != stdout


def test_a_poke_at_an_argument_that_a_call_lacks_is_told(bench: Bench) -> None:
    stdout, report = bench.run("inject=read,pread64:poke_exit=@arg2=5859,@arg4=00:when=2")
    assert b"8 XY345678" in stdout.splitlines()
    assert [(strike.syscall, strike.took) for strike in report.strikes if strike.syscall == "read"] == [("read", False)]


def test_only_what_came_back_is_corrupted(bench: Bench) -> None:
    (bench.folder / "in").write_bytes(b"12")
    try:
        stdout, report = bench.run('read: path match "*/in" then corrupt[99]')
        assert stdout.splitlines()[0][:2] == b"2 " and differing(stdout.splitlines()[0], b"2 12") == 2
        assert [strike.took for strike in report.strikes] == [True, False]  # at the end there was nothing
    finally:
        (bench.folder / "in").write_bytes(INPUT)


def test_what_is_written_goes_out_corrupted_and_the_memory_stays_whole(bench: Bench) -> None:
    stdout, report = bench.run('write: fd eq "1" then corrupt[2] when 2')
    lines, untouched = stdout[len(UNTOUCHED) - len(b"abcdefgh\nwhole\n") :], b"abcdefgh\nwhole\n"
    assert differing(lines, untouched) == 2 and lines.endswith(b"whole\n")
    assert [strike.took for strike in report.strikes] == [True]


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("inject=read:poke_exit=@arg2=5859:when=2", b"8 XY345678"),
        ("inject=read:error=EIO:poke_exit=@arg2=5859:when=2", b"-1 XY"),
        ("inject=read:retval=2:poke_enter=@arg2=5859:poke_exit=@arg2=5a:when=2", b"2 ZY"),
        ("inject=write:poke_enter=@arg2=5859:when=2", b"XYcdefgh"),
    ],
)
def test_a_poke_does_what_strace_s_does(bench: Bench, expression: str, changed: bytes) -> None:
    command = ["strace", "-qq", "-o", "/dev/null", "-e", expression, "./p"]
    done = subprocess.run(command, cwd=bench.folder, input=INPUT, capture_output=True, check=False)
    stdout, report = bench.run(expression)
    assert changed in stdout.splitlines()
    assert stdout == done.stdout
    assert [strike.took for strike in report.strikes] == [True]
