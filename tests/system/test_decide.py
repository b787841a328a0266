"""Policies at work on real programs, under the real tracer."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firedamp import guards
from firedamp.outcome import Exited, Killed
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution, Trace
from inject.decide.decider import Decider, DecisionReport
from inject.policy import parse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("HOME", "/nonexistent"))
LINES = "".join(f"{number}\n" for number in range(1, 2001)).encode()


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


class Bench:
    """A folder with in.txt, and a way to run a command there under a policy."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor, self.folder = executor, folder
        (folder / "in.txt").write_bytes(LINES)

    def run(self, policy: str, *argv: str, mode: str = "inject") -> tuple[Trace, DecisionReport]:
        decider = Decider(parse(policy), mode, folder=str(self.folder))  # type: ignore[arg-type]
        execution = Execution(argv=argv, environment=ENVIRONMENT, folder=self.folder, interceptor=decider)
        trace = self.executor.run(execution)
        assert isinstance(trace.report, DecisionReport)
        return trace, trace.report

    def python(self, policy: str, program: str) -> tuple[Trace, DecisionReport]:
        return self.run(policy, sys.executable, "-I", "-S", "-c", program)


@pytest.fixture
def bench(executor: Executor, tmp_path: Path) -> Bench:
    return Bench(executor, tmp_path)


def status(trace: Trace) -> int:
    assert isinstance(trace.outcome.ending, Exited), trace.outcome
    return trace.outcome.ending.status


def test_the_working_folder_is_a_whole_name_and_no_bare_one(bench: Bench) -> None:
    trace, report = bench.run('openat: path eq "$CWD" then deny[eio]', "ls")
    assert status(trace) == 2 and report.fired == (1,), trace.outcome


def test_a_rule_that_does_not_match_changes_nothing_and_says_so(bench: Bench) -> None:
    trace, report = bench.run('write: path match "/elsewhere/*" then deny[enospc]', "cp", "in.txt", "out.txt")
    assert status(trace) == 0
    assert (bench.folder / "out.txt").read_bytes() == LINES
    assert report.fired == (0,) and report.strikes == ()


def test_deny_fails_the_call_with_its_errno(bench: Bench) -> None:
    trace, report = bench.run('write: fd eq "1" then deny[enospc]', "cat", "in.txt")
    assert status(trace) == 1 and b"No space left on device" in trace.outcome.stderr
    assert trace.outcome.stdout == b""
    (strike,) = report.strikes
    assert (strike.syscall, strike.errno, strike.effect, strike.took) == ("write", 28, "suppress", True)
    assert strike.stack and len(strike.site) >= 8 and report.fired == (1,)


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    "expression", ["inject=write:error=ENOSPC:when=2", "inject=read:error=EIO:when=2+2", "fault=lseek"]
)
def test_a_strace_expression_does_what_strace_does(bench: Bench, expression: str) -> None:
    command = ("dd", "if=in.txt", "of=out.txt", "bs=1000", "status=none")
    trace, report = bench.run(expression, *command)
    ours = (status(trace), trace.outcome.stderr, (bench.folder / "out.txt").read_bytes())
    traced = ["strace", "-qq", "-o", "/dev/null", "-e", expression, *command]
    done = subprocess.run(traced, cwd=bench.folder, env=dict(ENVIRONMENT), capture_output=True, check=False)
    assert ours == (done.returncode, done.stderr, (bench.folder / "out.txt").read_bytes())
    assert report.fired[0] > 0


def test_when_counts_matching_calls_and_the_next_rule_gets_the_others(bench: Bench) -> None:
    policy = 'write: path match "*/out.txt" then deny[eintr] when 2\nwrite: path match "*/out.txt" then permit log'
    trace, report = bench.run(policy, "dd", "if=in.txt", "of=out.txt", "bs=1000", "status=none")
    assert status(trace) == 0 and (bench.folder / "out.txt").read_bytes() == LINES  # dd tries again
    assert report.fired == (1, len(report.log)) and report.matched[0] == len(report.log) + 1 >= 9
    assert "syscall: native-write(1)" in report.log[0] and "out.txt" in report.log[0]


def test_a_site_is_struck_at_its_nth_visit_again(bench: Bench) -> None:
    command = ("dd", "if=in.txt", "of=out.txt", "bs=1000", "status=none")
    _, first = bench.run('write: path match "*/out.txt" then deny[enospc] once', *command)
    site = first.strikes[0].site
    trace, report = bench.run(f'write: site "{site}" then deny[enospc] when 3', *command)
    assert status(trace) == 1
    assert (bench.folder / "out.txt").stat().st_size == 2000
    (strike,) = report.strikes
    assert (strike.site, strike.nth) == (site, 3)
    trace, report = bench.run('write: site "000000000000" then deny[enospc]', *command)
    assert status(trace) == 0 and report.fired == (0,)


def test_a_denied_close_releases_the_descriptor_and_a_suppressed_one_does_not(bench: Bench) -> None:
    program = "\n".join(
        (
            "import os",
            "fd = os.open('in.txt', os.O_RDONLY)",
            "try: os.close(fd)",
            "except OSError as error: print(error.errno)",
            "print(os.path.exists(f'/proc/self/fd/{fd}'))",
        )
    )
    trace, report = bench.python('close: path match "*/in.txt" then deny[eio]', program)
    assert trace.outcome.stdout.split() == [b"5", b"False"]
    assert [(strike.effect, strike.took) for strike in report.strikes] == [("commit", True)]
    trace, report = bench.python('close: path match "*/in.txt" then suppress[eio] once', program)
    assert trace.outcome.stdout.split() == [b"5", b"True"]
    assert [strike.effect for strike in report.strikes] == ["suppress"]


@pytest.mark.parametrize("write", ["os.write(fd, b'0123456789')", "os.writev(fd, [b'', b'012345', b'6789'])"])
def test_partial_is_a_genuine_short_write(bench: Bench, write: str) -> None:
    program = f"import os; fd = os.open('out', os.O_CREAT | os.O_WRONLY); print({write})"
    trace, report = bench.python('write: path match "*/out" then partial[4]', program)
    assert trace.outcome.stdout == b"4\n" and (bench.folder / "out").read_bytes() == b"0123"
    assert [(strike.effect, strike.took) for strike in report.strikes] == [("partial", True)]
    trace, report = bench.python('write: path match "*/out" then partial[10]', program)
    assert trace.outcome.stdout == b"10\n" and report.fired == (0,)


def test_a_broken_pipe_brings_its_signal_unless_the_call_asks_for_none(bench: Bench) -> None:
    trace, report = bench.run('write: fd eq "1" then deny[epipe]', "cat", "in.txt")
    assert trace.outcome.ending == Killed(signal=signal.SIGPIPE) and report.strikes[0].fd == 1
    assert guards.judge(replace(trace.outcome, strikes=report.strikes)) == ()  # so a filter is meant to end
    trace, _ = bench.run('write: fd eq "1" then suppress[epipe]', "cat", "in.txt")
    assert status(trace) == 1 and b"Broken pipe" in trace.outcome.stderr
    program = (
        "import signal, socket; signal.signal(signal.SIGPIPE, signal.SIG_DFL); "
        "a, b = socket.socketpair(); a.send(b'x', %s)"
    )
    trace, _ = bench.python("sendto: true then deny[epipe]", program % "socket.MSG_NOSIGNAL")
    assert status(trace) == 1 and b"BrokenPipeError" in trace.outcome.stderr
    trace, report = bench.python("inject=sendto:error=EPIPE", program % 0)
    assert trace.outcome.ending == Killed(signal=signal.SIGPIPE)
    (found,) = guards.judge(replace(trace.outcome, strikes=report.strikes))
    assert found.kind == "signal-SIGPIPE"


def test_who_is_woken_up_at_once_has_all_of_the_sleep_before_him(bench: Bench) -> None:
    program = "\n".join(
        (
            "import ctypes; libc = ctypes.CDLL(None); pair = ctypes.c_long * 2",
            "asked, left = pair(0, 7000000), pair(5, 5)",
            "print(libc.clock_nanosleep(0, 0, asked, left), *left)",
        )
    )
    trace, report = bench.python("clock_nanosleep: true then deny[eintr] once", program)
    assert trace.outcome.stdout == b"4 0 7000000\n" and report.strikes[0].took


OPENING = """
import os
def attempt(act, *given):
    try: return act(*given)
    except OSError as error: print(error.errno, end=" ")
    else: print("ok", end=" ")
"""


def test_a_full_table_is_full_until_the_process_closes_something(bench: Bench) -> None:
    program = OPENING + "\n".join(
        (
            "one, other = os.pipe()",
            "again = lambda: attempt(os.open, 'in.txt', os.O_RDONLY)",
            "os.close(one); again(); again()",
            "child = os.fork()",
            "if not child: os.close(other); again(); os._exit(0)",
            "os.waitpid(child, 0); again(); os.close(other); print(bool(again()))",
        )
    )
    policy = 'openat: path eq "$CWD/in.txt" then deny[emfile] until freed'
    trace, report = bench.python(policy, program)
    assert trace.outcome.stdout.split() == [b"24", b"24", b"24", b"True"], trace.outcome
    assert report.fired == (3,)


def test_a_full_disk_is_full_until_there_is_room_again(bench: Bench) -> None:
    program = OPENING + "\n".join(
        (
            "fd = os.open('out', os.O_CREAT | os.O_WRONLY); os.write(fd, b'x')",
            "again = lambda: attempt(os.write, fd, b'y')",
            "open('empty', 'w').close(); os.link('in.txt', 'second')",
            "again(); os.unlink('empty'); again(); os.unlink('second'); again()",
            "%s; print(again())",
        )
    )
    policy = 'write: path eq "$CWD/out" then deny[enospc] when 2+ until freed'
    for frees in (
        "os.unlink('in.txt')",
        "os.truncate('in.txt', 10)",
        "os.rename('out', 'in.txt')",
        "os.open('in.txt', os.O_WRONLY | os.O_TRUNC)",
    ):
        (bench.folder / "in.txt").write_bytes(LINES)
        trace, report = bench.python(policy, program % frees)
        assert trace.outcome.stdout.split() == [b"28", b"28", b"28", b"1"], (frees, trace.outcome)
        for name in ("out", "in.txt"):
            (bench.folder / name).unlink(missing_ok=True)
    (bench.folder / "in.txt").write_bytes(LINES)
    trace, report = bench.python(policy, program % "os.open('in.txt', os.O_RDONLY)")
    assert trace.outcome.stdout.split() == [b"28", b"28", b"28", b"28", b"None"] and report.fired == (4,)


@pytest.mark.needs("gcc")
@pytest.mark.parametrize(
    ("frees", "result"), [("munmap(kept, 4096)", 1), ("sbrk(-4096)", 1), ("mremap(kept, 8192, 4096, 0)", 1), ("0", 0)]
)
def test_memory_is_gone_until_some_is_given_back(bench: Bench, frees: str, result: int) -> None:
    source = """
        #define _GNU_SOURCE
        #include <sys/mman.h>
        #include <unistd.h>
        __attribute__((noinline)) int ask(void)
        {
            return mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
        }
        int main(void)
        {
            void *kept = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            sbrk(8192);
            int before = ask() + ask();
            FREES;
            return 4 * before + ask();
        }
    """
    (bench.folder / "p.c").write_text(source.replace("FREES", frees))
    subprocess.run(["gcc", "-O1", "-o", bench.folder / "p", bench.folder / "p.c"], check=True)
    trace, _ = bench.run('mmap: caller eq "ask" then deny[enomem] until freed', "./p")
    assert status(trace) == result


def test_partial_is_a_genuine_short_read(bench: Bench) -> None:
    program = "import os; fd = os.open('in.txt', os.O_RDONLY); print(os.read(fd, 4), os.read(fd, 4))"
    trace, _ = bench.python('read: path match "*/in.txt" then partial[3] once', program)
    assert trace.outcome.stdout == b"b'1\\n2' b'\\n3\\n4'\n"
    program = "import os; fd = os.open('in.txt', os.O_RDONLY); os.lseek(fd, 0, os.SEEK_END); print(os.read(fd, 4))"
    trace, report = bench.python('read: path match "*/in.txt" then partial[3] once', program)
    assert trace.outcome.stdout == b"b''\n" and not report.strikes[0].took  # there was nothing to cut short


def test_commit_makes_the_call_happen_and_then_fail(bench: Bench) -> None:
    trace, report = bench.python("mkdir: true then commit[eio]", "import os; os.mkdir('made')")
    assert status(trace) == 1 and b"Errno 5" in trace.outcome.stderr
    assert (bench.folder / "made").is_dir() and report.fired == (1,)
    bench.python("mkdir: true then deny[eio]", "import os; os.mkdir('never')")
    assert not (bench.folder / "never").exists()


def test_retval_signal_and_delay(bench: Bench) -> None:
    trace, _ = bench.python("%pure: true then retval[77]", "import os; print(os.getppid())")
    assert trace.outcome.stdout == b"77\n"
    trace, report = bench.python("mkdir: true then permit signal[SIGTERM]", "import os; os.mkdir('x'); print('alive')")
    assert trace.outcome.ending == Killed(signal=15) and report.strikes[0].effect == "signal"
    assert (bench.folder / "x").exists()
    program = "import os, time; start = time.monotonic(); os.mkdir('y'); print(time.monotonic() - start > 0.19)"
    trace, report = bench.python("mkdir: true then permit delay[100ms] delay_exit[100ms]", program)
    assert trace.outcome.stdout == b"True\n" and report.strikes[0].effect == "delay"


def test_limits_once_after_and_a_permit_that_is_used_up(bench: Bench) -> None:
    program = """
import os
def attempt(n):
    try: os.mkdir(str(n))
    except OSError as error: return error.errno
    return 0
print(*map(attempt, range(6)))
"""

    def results(policy: str) -> bytes:
        shutil.rmtree(bench.folder)
        bench.folder.mkdir()
        return bench.python(policy, program)[0].outcome.stdout.strip()

    assert results("mkdir: true then deny[eio] once") == b"5 0 0 0 0 0"
    assert results("mkdir: true then deny[eio] after 4") == b"0 0 0 0 5 5"
    assert results("mkdir: true then deny[eio] after 2 limit 2") == b"0 0 5 5 0 0"
    assert results("mkdir: true then deny[eio] when 1+2") == b"5 0 5 0 5 0"
    assert results("mkdir: true then permit limit 2") == b"0 0 1 1 1 1"
    assert results("mkdir: true then delay[1ms] once") == b"0 0 0 0 0 0"
    assert results("mkdir: true then signal[SIGCHLD] limit 2\nmkdir: true then deny[eio]") == b"0 0 5 5 5 5"
    assert results("mkdir: true then deny[eio] when 2\nmkdir: true then deny[enospc] when 3") == b"0 5 28 0 0 0"
    half = "mkdir: true then deny[eio] probability 0.5 seed 1"
    assert results(half) == results(half)
    assert 0 < results(half).split().count(b"5") < 6


def test_a_strace_window_counts_for_each_thread(bench: Bench) -> None:
    program = """
import os, threading
def attempt(n):
    try: os.mkdir(str(n))
    except OSError as error: return print(error.errno)
def work(n):
    attempt(n); attempt(n + 1)
for n in (0, 2): (t := threading.Thread(target=work, args=(n,))).start(); t.join()
"""
    trace, report = bench.python("inject=mkdir:error=EIO:when=2", program)
    assert trace.outcome.stdout == b"5\n5\n" and report.fired == (2,)
    shutil.rmtree(bench.folder / "0")
    shutil.rmtree(bench.folder / "2")
    trace, report = bench.python("mkdir: true then deny[eio] when 2", program)
    assert trace.outcome.stdout == b"5\n" and report.fired == (1,)


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ('openat: filename eq "$CWD/LINK" then deny[eio]', True),
        ('openat: filename eq "$CWD/in.txt" then deny[eio]', False),
        ('openat: path eq "$CWD/in.txt" then deny[eio]', True),
        ('openat: path eq "$CWD/link" then deny[eio]', False),
        ('openat: filename match "$CWD/l*" and oflags eq "ro" then deny[eio]', True),
        ('openat: filename match "$CWD/l*" and oflags sub "w" then deny[eio]', False),
        ('fsread: filename re "/li[n]k$" then deny[eio]', True),
        ('fswrite: filename sub "link" then deny[eio]', False),
        ('open: filename inpath "$CWD/link/below" and not path sub "xyz" then deny[eio]', True),
        ('open: filename inpath "$CWD/link/below" and path sub "xyz" then deny[eio]', False),
        ('read: fd neq "0" and path sub "in.txt" then deny[eio]', True),
        ("inject=/^openat$:retval=-5:when=9999+", False),
    ],
)
def test_filters_on_names_and_descriptors(bench: Bench, rule: str, held: bool) -> None:
    (bench.folder / "link").symlink_to("in.txt")
    trace, report = bench.run(rule, "cat", ".//link")
    assert (status(trace) == 1, report.fired[0] > 0) == (held, held)


def test_a_name_below_another_descriptor_and_the_second_name(bench: Bench) -> None:
    (bench.folder / "sub").mkdir()
    (bench.folder / "sub" / "a").touch()
    program = "import os; d = os.open('sub', os.O_RDONLY); os.rename('a', 'b', src_dir_fd=d, dst_dir_fd=d)"
    trace, report = bench.python(
        'rename: filename eq "$CWD/sub/a" and filename[1] eq "$CWD/sub/b" then deny[exdev]', program
    )
    assert report.fired == (1,) and b"Errno 18" in trace.outcome.stderr
    _, report = bench.python('rename: filename[1] eq "$CWD/sub/a" then deny[exdev]', program)
    assert report.fired == (0,)


def test_mode_and_socket_address(bench: Bench) -> None:
    trace, report = bench.python('mkdir: mode eq "711" then deny', "import os; os.umask(0); os.mkdir('a', 0o711)")
    assert report.fired == (1,) and b"Errno 1]" in trace.outcome.stderr
    program = "import socket; socket.socket().connect(('127.0.0.1', 53))"
    trace, report = bench.python('connect: sockaddr match "inet-*:53" then deny[etimedout]', program)
    assert report.fired == (1,) and b"Errno 110" in trace.outcome.stderr
    _, report = bench.python('connect: sockaddr match "inet-*:54" then deny[etimedout]', program)
    assert report.fired == (0,)


@pytest.mark.needs("gcc")
def test_caller_is_a_function_on_the_stack(bench: Bench) -> None:
    source = (
        "#include <stdio.h>\n#include <sys/stat.h>\n"
        '__attribute__((noinline)) void load_config(void) { if (mkdir("a", 0700)) perror("load"); }\n'
        '__attribute__((noinline)) void other(void) { if (mkdir("b", 0700)) perror("other"); }\n'
        "int main(void) { load_config(); other(); return 0; }\n"
    )
    (bench.folder / "p.c").write_text(source)
    subprocess.run(["gcc", "-O0", "-o", "p", "p.c"], cwd=bench.folder, check=True)
    trace, report = bench.run('mkdir: caller "load_config" then deny[enomem]', "./p")
    assert report.fired == (1,) and trace.outcome.stderr == b"load: Cannot allocate memory\n"
    assert (bench.folder / "b").is_dir()


def test_a_section_is_for_one_program(bench: Bench) -> None:
    policy = "Policy: /usr/bin/cat, Emulation: linux\nnative-write: deny[eio]"
    trace, report = bench.run(policy, "sh", "-c", "cat in.txt; echo said")
    assert report.fired[0] > 0 and trace.outcome.stdout == b"said\n"


def test_a_brk_that_fails_is_survived(bench: Bench) -> None:
    trace, report = bench.run("brk: true then deny[enomem]", "cat", "in.txt")
    assert report.fired[0] > 0
    assert status(trace) == 0 and trace.outcome.stdout == LINES


def test_enforce_denies_and_logs_what_no_rule_permits(bench: Bench) -> None:
    policy = "\n".join(
        f"{name}: permit" for name in ("%memory", "%file", "%desc", "%process", "%signal", "%creds", "%net")
    )
    policy += "\narch_prctl: permit\nset_tid_address: permit\nset_robust_list: permit\nrseq: permit\nfutex: permit"
    policy += "\nprlimit64: permit\ngetrandom: permit\nuname: permit\nsysinfo: permit"
    trace, report = bench.run(policy, "cat", "in.txt", mode="enforce")
    assert status(trace) == 0 and trace.outcome.stdout == LINES
    trace, report = bench.run(policy + "\n", "uname", "-r", mode="enforce")
    without = policy.replace("\nuname: permit", "")
    trace, report = bench.run(without, "uname", "-r", mode="enforce")
    assert status(trace) == 1 and b"Operation not permitted" in trace.outcome.stderr
    assert any(strike.rule == -1 and strike.syscall == "uname" for strike in report.strikes)
    assert any(" deny user: " in line and "native-uname(63)" in line for line in report.log)


def test_a_decider_is_plain_data() -> None:
    decider = Decider(parse('write: site eq "3f2a9c71" then deny[enospc] when 1'))
    again = pickle.loads(pickle.dumps(decider))
    assert again.numbers() == decider.numbers() == {1, 18, 20, 296, 328}
    assert os.environ.get("HOME") == again.macros.get("HOME")
