"""Runs with fixed addresses: what is recognised from an earlier run is what a walk over the stack would have found."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution, Interceptor, Trace
from inject.decide.decider import Decider, DecisionReport
from inject.observe.census import Census, Report
from inject.policy import parse

pytestmark = pytest.mark.needs("gcc", "ptrace", "seccomp")

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"))
# A loop, a child that forks, a child that executes, a thread, and a library that is loaded late.
PROGRAM = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static void say(int depth) { if (depth) say(depth - 1); else write(1, "x", 1); __asm__(""); }
static void *thread(void *nothing) { say(3); return nothing; }
int main(int count, char **words) {
  if (count == 2) { say(1); return 0; }
  for (int i = 0; i < 20; i++) say(i % 4);
  if (fork() == 0) { say(2); _exit(0); }
  wait(0);
  if (fork() == 0) { execl(words[0], words[0], "again", (char *)0); _exit(1); }
  wait(0);
  pthread_t other;
  if (pthread_create(&other, 0, thread, 0)) return 2;
  pthread_join(other, 0);
  void *library = dlopen("./late.so", RTLD_NOW);
  int (*late)(void (*)(int)) = library ? (int (*)(void (*)(int)))dlsym(library, "late") : 0;
  return late ? late(say) : 3;
}
"""
LATE = "int late(void (*back)(int)) { back(1); back(2); return 0; }"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fixed")
    for name, text, flags in (("many", PROGRAM, ("-pthread",)), ("late.so", LATE, ("-shared", "-fPIC"))):
        (made / f"{name}.c").write_text(text)
        subprocess.run(["gcc", "-O1", "-g", *flags, f"{name}.c", "-o", name], cwd=made, check=True)
    return made


@pytest.fixture
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


def run(executor: Executor, folder: Path, interceptor: Interceptor, *, fixed: bool) -> Trace:
    return executor.run(
        Execution(
            argv=("./many",), environment=ENVIRONMENT, folder=folder, interceptor=interceptor, fixed_addresses=fixed
        )
    )


def places(executor: Executor, folder: Path, *, fixed: bool) -> Counter[tuple[str, str]]:
    """Calls by their sites. Threads and children run as they like, so not in their order."""
    report = run(executor, folder, Census(), fixed=fixed).report
    assert isinstance(report, Report)
    return Counter((hit.syscall, hit.site) for hit in report.hits if hit.syscall == "write")


def test_sites_are_the_same_cold_recognised_and_with_random_addresses(executor: Executor, folder: Path) -> None:
    random = places(executor, folder, fixed=False)
    cold = places(executor, folder, fixed=True)
    recognised = places(executor, folder, fixed=True)
    assert cold == recognised == random
    assert sum(random.values()) == 20 + 1 + 1 + 1 + 2
    assert len(random) == 4 + 1 + 1 + 1 + 2  # no two of these places have one stack


def test_a_stack_through_a_library_that_came_late_is_whole(executor: Executor, folder: Path) -> None:
    """The map of the process is older than the library, and the innermost frame lies in what it knows."""
    report = run(executor, folder, Census(), fixed=True).report
    assert isinstance(report, Report)
    through = [stack for stack in report.stacks.values() if any(frame.module.endswith("late.so") for frame in stack)]
    assert len(through) == 2
    assert all(len(stack) > 4 and stack[-1].module.endswith("/many") for stack in through)


def test_a_rule_strikes_the_same_call_whether_its_stack_is_known_or_not(executor: Executor, folder: Path) -> None:
    census = run(executor, folder, Census(), fixed=True).report
    assert isinstance(census, Report)
    for hit in {hit.site: hit for hit in census.hits if hit.syscall == "write"}.values():
        policy = parse(f'write: site eq "{hit.site}" then deny[eio] when {hit.nth}')
        known, unknown = (
            run(executor, folder, Decider(policy, folder=str(folder)), fixed=fixed).report for fixed in (True, False)
        )
        assert isinstance(known, DecisionReport) and isinstance(unknown, DecisionReport)
        assert [(strike.site, strike.nth) for strike in known.strikes] == [(hit.site, hit.nth)]
        assert [strike.stack for strike in known.strikes] == [strike.stack for strike in unknown.strikes]
