"""Rules for some processes, programs and users alone; rules that exclude each other; and what a user could do."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.outcome import Exited
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.decide.decider import Decider, DecisionReport
from inject.policy import parse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"))
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


class Bench:
    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor, self.folder = executor, folder

    def run(self, policy: str, *argv: str) -> tuple[list[str], DecisionReport]:
        """What the program wrote, by words."""
        decider = Decider(parse(policy), folder=str(self.folder))
        trace = self.executor.run(
            Execution(argv=argv, environment=ENVIRONMENT, folder=self.folder, interceptor=decider)
        )
        assert isinstance(trace.report, DecisionReport) and isinstance(trace.outcome.ending, Exited), trace
        return trace.outcome.stdout.decode().split(), trace.report

    def python(self, policy: str, program: str) -> tuple[list[str], DecisionReport]:
        return self.run(policy, sys.executable, "-I", "-S", "-c", ATTEMPT + program)


ATTEMPT = """
import os, sys
def attempt(call, *arguments):
    try: call(*arguments)
    except OSError as error: print(error.errno, flush=True)
    else: print(0, flush=True)
"""


@pytest.fixture
def bench(executor: Executor, tmp_path: Path) -> Bench:
    return Bench(executor, tmp_path)


# --- xor

EITHER = 'mkdir: filename sub "one" then permit xor kind\nmkdir: filename sub "two" then permit xor kind'


def test_whichever_comes_first_denies_the_other_in_that_process(bench: Bench) -> None:
    program = "for name in sys.argv[1:] or ('two', 'one', 'two2'): attempt(os.mkdir, name)"
    said, report = bench.python(EITHER, program)
    assert said == ["0", "1", "0"] and report.fired == (1, 2)
    assert [(strike.rule, strike.errno) for strike in report.strikes] == [(0, 1)]
    forked = """
attempt(os.mkdir, 'one3')
if os.fork() == 0:
    attempt(os.mkdir, 'two4'); attempt(os.mkdir, 'one4'); os._exit(0)
os.wait()
attempt(os.mkdir, 'two5')
"""
    assert bench.python(EITHER, forked)[0] == ["0", "0", "1", "1"]


# --- , if user


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        (f"user = {ME}", True),
        (f"user = {os.getuid()}", True),
        (f"user != {ME}", False),
        (f"user < {os.getuid() + 1}", True),
        (f"user > {os.getuid()}", False),
        (f"group = {os.getgid()}", True),
        (f"group != {os.getgid()}", False),
        (f"group < {os.getgid() + 1}", True),
        (f"group > {os.getgid()}", False),
    ],
)
def test_a_rule_for_some_users(bench: Bench, condition: str, held: bool) -> None:
    said, _ = bench.python(f"mkdir: deny[eio], if {condition}", "attempt(os.mkdir, 'a')")
    assert said == ["5" if held else "0"]


# --- permit as


@pytest.mark.parametrize(
    ("call", "arguments", "allowed"),
    [
        ("open", "'mine', os.O_RDONLY", True),
        ("open", "'secret', os.O_RDONLY", False),
        ("open", "'mine', os.O_WRONLY", False),
        ("open", "'made', os.O_WRONLY | os.O_CREAT", False),
        ("open", "'public/made', os.O_WRONLY | os.O_CREAT", True),
        ("open", "'closed/inside', os.O_RDONLY", False),
        ("open", "'link', os.O_RDONLY", False),
        ("stat", "'closed/inside'", False),
        ("stat", "'secret'", True),
        ("unlink", "'mine'", False),
        ("unlink", "'sticky/theirs'", False),
        ("rename", "'public/old', 'public/new'", True),
        ("rename", "'public/old', 'new'", False),
        ("chmod", "'mine', 0o600", False),
        ("chown", "'mine', 1, 1", False),
        ("truncate", "'mine', 0", False),
        ("mkdir", "'public/folder'", True),
        ("mkdir", "'folder'", False),
        ("kill", "os.getpid(), 0", False),
        ("setuid", "0", False),
        ("setuid", "NOBODY", True),
        ("sethostname", "'x'", False),
    ],
)
def test_permit_as_a_user_is_what_that_user_could_do(bench: Bench, call: str, arguments: str, allowed: bool) -> None:
    nobody = pwd.getpwnam("nobody")
    make_files(bench.folder)
    arguments = arguments.replace("NOBODY", str(nobody.pw_uid))
    if call == "sethostname":
        program = "import socket; attempt(socket.sethostname, 'x')"
    else:
        program = f"attempt(os.{call}, {arguments})"
    rule = {"open": "openat"}.get(call, call)
    where = "" if call in ("kill", "setuid", "sethostname") else 'filename match "$CWD/*" and '
    said, report = bench.python(f'{rule}: {where}not argv eq "x" then permit as nobody', program)
    passed = "1" if call == "setuid" and os.getuid() != 0 else "0"  # permitted, and then refused by the kernel
    assert said == [passed if allowed else "13"] and report.fired[0] > 0


def make_files(folder: Path) -> None:
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005 and "pytest" in str(each):
            each.chmod(0o755)
    for name, mode in (("mine", 0o644), ("secret", 0o600)):
        (folder / name).touch()
        (folder / name).chmod(mode)
    for name, mode in (("public", 0o777), ("closed", 0o700), ("sticky", 0o1777)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    for name in ("closed/inside", "sticky/theirs", "public/old"):
        (folder / name).touch()
    (folder / "link").symlink_to("secret")


def test_permit_as_root_grants_nothing_and_takes_nothing(bench: Bench) -> None:
    said, report = bench.python("mkdir: true then permit as root", "attempt(os.mkdir, 'a')")
    assert said == ["0"] and report.fired == (1,) and report.strikes == ()


# --- programs and their children

SH = "mkdir a 2>/dev/null && echo a; sh -c 'mkdir b 2>/dev/null && echo b; true'; true"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ('child "/bin/mkdir" { mkdir: deny }', []),  # at any depth
        ('child "/bin/sh" { child "/bin/mkdir" { mkdir: deny } }', ["a"]),  # below the second shell
        ('child "/bin/echo" { child "/bin/mkdir" { mkdir: deny } }', ["a", "b"]),
        ('Policy: /bin/sh, Emulation: linux\nchild "/bin/mkdir" { mkdir: deny }', []),
        ('Policy: /bin/ls, Emulation: linux\nchild "/bin/mkdir" { mkdir: deny }', ["a", "b"]),
        ("Policy: /bin/mkdir, Emulation: linux\nmkdir: deny", []),
        (
            "Policy: /bin/mkdir, Emulation: linux\ndetached\nPolicy: /bin/mkdir, Emulation: linux\nmkdir: deny",
            ["a", "b"],
        ),
        # where a child clause is, the section of its program is not
        (
            (
                'child "/bin/sh" { child "/bin/mkdir" { mkdir: permit } }\n'
                "Policy: /bin/mkdir, Emulation: linux\nmkdir: deny"
            ),
            ["b"],
        ),
        ("mkdir: deny\nexecve: permit", []),
        ('mkdir: deny\nexecve: filename match "*/sh" then permit[detach]', ["b"]),  # and all that it starts
        ('mkdir: deny\nexecve: filename match "*/mkdir" then permit[detach] once', ["a"]),
        # mkdir goes on under the rules of the shell
        ("Policy: /bin/sh, Emulation: linux\nexecve: permit[inherit]\nmkdir: deny", []),
        ("Policy: /bin/sh, Emulation: linux\nexecve: permit\nmkdir: deny", ["a", "b"]),
    ],
)
def test_rules_for_programs_and_what_they_start(bench: Bench, policy: str, said: list[str]) -> None:
    assert bench.run(policy, "/bin/sh", "-c", SH)[0] == said


def test_the_command_itself_is_nobody_s_child(bench: Bench) -> None:
    assert bench.run('child "/bin/mkdir" { mkdir: deny[eio] }', "mkdir", "a")[1].fired == (0,)


def test_a_daemon_stays_what_it_was_started_as(bench: Bench) -> None:
    program = """
read, write = os.pipe()
over, held = os.pipe()
os.set_inheritable(held, True)
if os.fork() == 0:
    if os.fork() == 0:
        os.read(read, 1)  # by then its parent is gone
        os.execv('/bin/mkdir', ['mkdir', 'late'])
    os._exit(0)
os.wait(); os.close(held); os.write(write, b'x')
os.read(over, 1)  # until mkdir has ended
print(os.path.exists('late'))
"""
    rule = f'Policy: {sys.executable}, Emulation: linux\nchild "/bin/mkdir" {{ mkdir: deny }}'
    assert bench.python(rule, program)[0] == ["False"]
    assert bench.python('child "/bin/echo" { mkdir: deny }', program)[0] == ["True"]


# --- what another thread does meanwhile

RACER = r"""
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static char name[] = "fifo";
static void *rewrite(void *path) {
    usleep(200000);               /* by now the other one waits in its open */
    if (CHANGE) strcpy(name, "else");
    open(path, O_WRONLY);
    return 0;
}
int main(void) {
    pthread_t thread;
    mkfifo("fifo", 0600);
    pthread_create(&thread, 0, rewrite, "fifo");
    open(name, O_RDONLY);
    pthread_join(thread, 0);
    return 0;
}
"""


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("change", [1, 0])
def test_a_name_that_changed_after_its_check_is_told(bench: Bench, change: int) -> None:
    (bench.folder / "racer.c").write_text(RACER)
    subprocess.run(["gcc", f"-DCHANGE={change}", "-o", "racer", "racer.c"], cwd=bench.folder, check=True)
    names = "%memory %desc %process %signal %file %creds futex set_robust_list rseq arch_prctl set_tid_address"
    policy = "".join(f"{name}: permit\n" for name in f"{names} prlimit64 getrandom clock_nanosleep prctl".split())
    decider = Decider(parse(policy), "enforce", folder=str(bench.folder))
    trace = bench.executor.run(
        Execution(argv=("./racer",), environment=ENVIRONMENT, folder=bench.folder, interceptor=decider)
    )
    assert isinstance(trace.report, DecisionReport) and trace.outcome.ending == Exited(status=0), trace
    told = [(strike.syscall, strike.effect, strike.took) for strike in trace.report.strikes]
    assert told == [("openat", "slipped", False)] * change
    assert [f"filename: {bench.folder}/else, changed by another" in line for line in trace.report.log] == [
        True
    ] * change
