"""Allocations that fail by malloc's own code: what the program sees, and what counts as one."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.outcome import Exited
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution, Trace
from inject.decide import allocation
from inject.decide.decider import Decider, DecisionReport
from inject.policy import parse

pytestmark = [pytest.mark.needs("gcc"), pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int said;  /* no stdio before the end: it allocates as well */
static char text[4096];

static void say(const char *what, void *block)
{
    said += sprintf(text + said, "%s %s%s\n", what, block ? "got" : "NULL", !block && errno == ENOMEM ? " ENOMEM" : "");
    errno = 0;
}

static char *copy(void)
{
    return strdup("copy");
}

static void *worker(void *nothing)
{
    say("thread", malloc(24));
    say("thread", malloc(24));
    return nothing;
}

int main(int argc, char **argv)
{
    char *kind = argc > 1 ? argv[1] : "";
    void *aligned = NULL;
    if (!strcmp(kind, "all")) {
        say("malloc", malloc(10));
        say("malloc", malloc(10));
        say("calloc", calloc(3, 4));
        say("realloc", realloc(NULL, 50));
        say("reallocarray", reallocarray(NULL, 5, 50));
        say("strdup", copy());
        say("memalign", memalign(64, 10));
        say("aligned_alloc", aligned_alloc(64, 64));
        int error = posix_memalign(&aligned, 64, 10);
        errno = error;
        say("posix_memalign", aligned);
        say("valloc", valloc(10));
    } else if (!strcmp(kind, "grow")) {
        char *block = malloc(100), *larger = NULL;
        strcpy(block, "old");
        for (size_t size = 5000; larger == NULL && size < 25000; size += 5000)
            say("realloc", larger = realloc(block, size));
        said += sprintf(text + said, "%s\n", larger ? larger : block);
    } else if (!strcmp(kind, "loop")) {
        char *block = NULL;
        for (int i = 1; i <= 4; i++) {
            char *larger = realloc(block, i * 5000);
            say("realloc", larger);
            block = larger ? larger : block;
        }
    } else if (!strcmp(kind, "threads")) {
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) {
            if (pthread_create(&threads[i], NULL, worker, NULL))
                return 3;
            pthread_join(threads[i], NULL);
        }
    } else if (!strcmp(kind, "fork")) {
        say("parent", malloc(10));
        if (fork() == 0) {
            char *block = realloc(NULL, 10);
            _exit(realloc(block, 5000) == NULL);
        }
        int status;
        wait(&status);
        say(status ? "child failed" : "child", malloc(10));
    }
    return write(1, text, said) != said;
}
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("allocation")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-w", "-O0", "-g", "-pthread", "-o", folder / "program", folder / "program.c"], check=True)
    return folder / "program"


def run(executor: Executor, program: Path, kind: str, policy: str) -> tuple[list[str], DecisionReport, Trace]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    parsed = parse(policy)
    execution = Execution(
        argv=(str(program), kind),
        environment=tuple({**environment, **allocation.variables(parsed, environment)}.items()),
        folder=program.parent,
        interceptor=Decider(parsed),
    )
    trace = executor.run(execution)
    assert isinstance(trace.report, DecisionReport)
    assert trace.outcome.ending == Exited(status=0), trace.outcome
    return trace.outcome.stdout.decode().splitlines(), trace.report, trace


KINDS = ("malloc", "malloc", "calloc", "realloc", "reallocarray", "strdup")
ALIGNED = ("memalign", "aligned_alloc", "posix_memalign", "valloc")
EVERY = (*KINDS, *ALIGNED)


@pytest.mark.parametrize("nth", range(1, len(EVERY) + 1))
def test_one_allocation_of_any_kind_fails_and_no_other(executor: Executor, program: Path, nth: int) -> None:
    said, report, _ = run(executor, program, "all", f"malloc: true then deny[enomem] when {nth}")
    assert said == [f"{name} {'NULL ENOMEM' if at == nth else 'got'}" for at, name in enumerate(EVERY, 1)]
    (strike,) = report.strikes
    assert (strike.syscall, strike.errno, strike.took, report.fired) == ("malloc", 12, True, (1,))


def test_each_allocation_counts_once(executor: Executor, program: Path) -> None:
    _, report, _ = run(executor, program, "all", "malloc: true then deny[enomem] when 100")
    assert (report.fired, report.matched) == ((0,), (len(EVERY),))


def test_all_allocations_from_one_on_fail(executor: Executor, program: Path) -> None:
    said, report, _ = run(executor, program, "all", "malloc: true then deny after 7")
    assert said == [f"{name} {'got' if at <= 7 else 'NULL ENOMEM'}" for at, name in enumerate(EVERY, 1)]
    assert report.fired == (3,) and report.later == 2


def test_one_site_and_one_caller(executor: Executor, program: Path) -> None:
    _, report, _ = run(executor, program, "all", 'malloc: caller "copy" then deny[enomem]')
    (strike,) = report.strikes
    assert strike.nth == 1 and strike.stack[0].module.endswith("/libc.so.6")
    said, again, _ = run(executor, program, "all", f'malloc: site eq "{strike.site}" then deny[enomem] when 1')
    assert [line for line in said if "NULL" in line] == ["strdup NULL ENOMEM"]
    assert again.strikes[0].site == strike.site and again.matched == (1,)


@pytest.mark.parametrize("name", ["strdup", "calloc", "posix_memalign", "main"])
def test_a_function_of_libc_is_known_by_its_public_name(executor: Executor, program: Path, name: str) -> None:
    """With debug information for libc, too, where strdup is __strdup."""
    said, _, _ = run(executor, program, "all", f'malloc: caller "{name}" then deny[enomem]')
    failed = [line.partition(" ")[0] for line in said if "NULL" in line]
    assert failed == (list(EVERY) if name == "main" else [name])


def test_a_block_that_cannot_grow_stays_as_it_is(executor: Executor, program: Path) -> None:
    said, report, _ = run(executor, program, "grow", 'malloc: caller "realloc" then deny[enomem] limit 2')
    assert said == ["realloc NULL ENOMEM", "realloc NULL ENOMEM", "realloc got", "old"]
    assert report.fired == (2,) and report.matched == (3,)


def test_a_first_block_and_its_growth_are_allocations_of_their_own(executor: Executor, program: Path) -> None:
    """The first comes by way of malloc, the others by mremap; all from one place."""
    for nth in range(1, 5):
        said, report, _ = run(executor, program, "loop", f"malloc: true then deny[enomem] when {nth}")
        assert [at for at, line in enumerate(said, 1) if "NULL" in line] == [nth]
        assert report.fired == (1,) and len({strike.site for strike in report.strikes}) == 1


def test_threads_have_no_heaps_of_their_own(executor: Executor, program: Path) -> None:
    said, report, _ = run(executor, program, "threads", 'malloc: caller "worker" then deny[enomem] when 2+2')
    assert said == ["thread got", "thread NULL ENOMEM"] * 3
    assert report.fired == (3,) and report.matched == (6,)


def test_a_forked_child_counts_on(executor: Executor, program: Path) -> None:
    policies = [f"malloc: true then deny[enomem] when {nth}" for nth in range(1, 5)]
    said = [run(executor, program, "fork", policy)[0] for policy in policies]
    failed = "child failed got"
    assert [lines[0] for lines in said] == ["parent NULL ENOMEM", "parent got", "parent got", "parent got"]
    assert [lines[1] for lines in said] == ["child got", "child got", failed, "child NULL ENOMEM"]
