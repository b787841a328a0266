"""The tracer against real programs: one tiny C program per behaviour of the kernel that has broken tracers before."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from errno import EACCES, EIO, ENOENT, ENOMEM
from pathlib import Path

import pytest

from firedamp.errors import UsageError, WorkerDied
from firedamp.outcome import Access, Exited, Frame, Killed, OutOfMemory, Stall, TimedOut
from firedamp.symbols import resolve_frame
from firedamp.target import MEBIBYTE, Limits
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Action, Execution, Interceptor, Trace

pytestmark = pytest.mark.needs("gcc", "ptrace")

HERE = Path(__file__).parent
READ, WRITE, CLOSE, BRK, NANOSLEEP, GETPID, EXECVE, GETUID, GETPPID, OPENAT = 0, 1, 3, 12, 35, 39, 59, 102, 110, 257
CLOCK_NANOSLEEP = 230

UNTRACED = f"firedamp-untraced-{os.getpid()}"

HEAD = r"""
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern char **environ;
"""

Run = Callable[..., Trace]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracer")


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        with Executor() as made:
            yield made


@pytest.fixture(scope="module")
def plan() -> Iterator[Callable[..., Interceptor]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        from plan_for_tracer import Plan

        yield Plan


def execution(*argv: str, folder: Path, **more: object) -> Execution:
    more.setdefault("environment", tuple(os.environ.items()))
    more.setdefault("limits", Limits(wall_s=60, cpu_s=60))
    return Execution(argv=argv, folder=folder, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Callable[..., Path]:
    """Programs called tracee-DIGEST; the headers that they share are compiled once for each set of flags."""

    def compile_program(body: str, *flags: str) -> Path:
        command = ["gcc", "-w", "-O1", "-pthread", *flags]
        head = folder / f"head-{digest(*flags)}.h"
        if not head.exists():
            head.write_text(HEAD)
            subprocess.run([*command, head], check=True)
        program = folder / f"tracee-{digest(body, *flags)}"
        if not program.exists():
            source = program.with_suffix(".c")
            source.write_text(body)
            subprocess.run([*command, "-include", head, "-o", program, source], check=True)
        return program

    return compile_program


def digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def ours(frames: tuple[Frame, ...]) -> int:
    """How many frames lie in a program of these tests."""
    return sum(Path(frame.module).name.startswith("tracee-") for frame in frames)


@pytest.fixture
def run(executor: Executor, folder: Path, compiled: Callable[..., Path]) -> Run:
    """Compile a program and run it."""

    def run_program(body: str, *argv: str, flags: tuple[str, ...] = (), **more: object) -> Trace:
        return executor.run(execution(str(compiled(body, *flags)), *argv, folder=folder, **more))

    return run_program


def ok(trace: Trace, stdout: bytes = b"") -> None:
    assert (trace.outcome.ending, trace.outcome.stdout, trace.outcome.stderr) == (Exited(status=0), stdout, b"")


# -- processes and threads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stopping", [False, True])
def test_exec_from_a_thread_that_is_not_the_leader(run: Run, plan: type, stopping: bool) -> None:
    body = r"""
    void *other(void *_) { execl("/bin/echo", "echo", "from a thread", NULL); _exit(9); }
    int main(void) {
        pthread_t t, u;
        pthread_create(&u, 0, (void *(*)(void *))pause, 0);
        pthread_create(&t, 0, other, 0);
        for (;;) pause();
    }"""
    interceptor = plan({EXECVE: (0, Action(watch=True))}) if stopping else None
    trace = run(body, interceptor=interceptor)
    ok(trace, b"from a thread\n")
    if stopping:
        assert trace.report.left == [("execve", 0)]  # type: ignore[attr-defined]


def test_a_group_stop_stops_and_continues(run: Run) -> None:
    body = r"""
    int main(void) {
        int status; pid_t child = fork();
        if (child == 0) { raise(SIGSTOP); _exit(7); }
        waitpid(child, &status, WUNTRACED);
        assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        usleep(30000);
        assert(waitpid(child, &status, WNOHANG) == 0);
        kill(child, SIGCONT);
        waitpid(child, &status, 0);
        assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        puts("stopped, continued");
    }"""
    ok(run(body), b"stopped, continued\n")


def test_a_sigtrap_of_the_program_s_own_is_passed_on(run: Run) -> None:
    body = r"""
    volatile int traps;
    void count(int _) { traps++; }
    int main(void) {
        signal(SIGTRAP, count);
        __asm__("int3"); raise(SIGTRAP); __asm__("int3");
        printf("%d\n", traps);
    }"""
    trace = run(body)
    ok(trace, b"3\n")
    assert [(f.signal, f.handled) for f in trace.outcome.fatals] == [(signal.SIGTRAP, True)] * 3
    assert run('int main(void) { __asm__("int3"); }').outcome.ending == Killed(signal=signal.SIGTRAP)


def test_threads_are_counted_call_by_call(run: Run, plan: type) -> None:
    body = r"""
    void *work(void *_) { for (int i = 0; i < 200; i++) syscall(SYS_getppid); return 0; }
    int main(void) {
        pthread_t t[6];
        for (int i = 0; i < 6; i++) pthread_create(t + i, 0, work, 0);
        for (int i = 0; i < 6; i++) pthread_join(t[i], 0);
    }"""
    trace = run(body, interceptor=plan({GETPPID: (0, Action(watch=True))}, look="ids"))
    ok(trace)
    report: object = trace.report
    assert len(report.left) == len(report.entered) == 1200  # type: ignore[attr-defined]
    assert len({tid for _, tid in report.notes}) == 6  # type: ignore[attr-defined]
    assert len({pid for pid, _ in report.notes}) == 1  # type: ignore[attr-defined]


def test_a_leader_that_ends_before_its_threads(run: Run) -> None:
    body = r"""
    void *late(void *_) { usleep(50000); write(1, "late\n", 5); exit(3); }
    int main(void) { pthread_t t; pthread_create(&t, 0, late, 0); pthread_exit(0); }"""
    outcome = run(body).outcome
    assert (outcome.ending, outcome.stdout) == (Exited(status=3), b"late\n")


def test_many_short_children(run: Run) -> None:
    """Some of their first stops come before the parent's fork event, some of them die first."""
    body = r"""
    int main(void) {
        int n = 0;
        for (int i = 0; i < 150; i++) if (fork() == 0) _exit(1);
        for (int s; wait(&s) > 0; n++) assert(WEXITSTATUS(s) == 1);
        printf("%d\n", n);
    }"""
    ok(run(body), b"150\n")


def test_a_child_killed_while_it_is_stopped(run: Run, plan: type) -> None:
    body = r"""
    int main(void) {
        for (int i = 0; i < 20; i++) {
            int s; pid_t child = fork();
            if (child == 0) for (;;) syscall(SYS_getppid);
            usleep(3000); kill(child, SIGKILL); waitpid(child, &s, 0);
            assert(WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL);
        }
    }"""
    ok(run(body, interceptor=plan({GETPPID: (0, Action(watch=True))})))


@pytest.mark.parametrize(
    "how",
    [
        'if (vfork() == 0) { execl("/bin/echo", "echo", "child", NULL); _exit(1); } wait(0);',
        'char *a[] = {"echo", "child", 0}; pid_t p; posix_spawn(&p, "/bin/echo", 0, 0, a, environ); wait(0);',
        'system("echo child");',
    ],
)
def test_vfork_and_its_kin(run: Run, plan: type, how: str) -> None:
    trace = run("int main(void) { " + how + " return 0; }", interceptor=plan({WRITE: (0, Action(watch=True))}))
    ok(trace, b"child\n")
    assert trace.report.left == [("write", 6)]  # type: ignore[attr-defined]


def alive(word: str) -> list[int]:
    """Processes whose command line contains `word`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if word.encode() in command and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found


def gone(word: str, within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while alive(word):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


DAEMON = r"""
int main(int argc, char **argv) {
    if (fork() == 0) { setsid(); if (fork() == 0) { signal(SIGTERM, SIG_IGN); for (;;) sleep(100); } _exit(0); }
    wait(0);
    if (argc > 2) for (;;) sleep(100);
}"""


def test_a_daemon_does_not_outlive_the_run(run: Run) -> None:
    ok(run(DAEMON, f"firedamp-daemon-1-{os.getpid()}"))
    assert alive(f"firedamp-daemon-1-{os.getpid()}") == []


def test_an_untraced_clone_does_not_outlive_the_run(run: Run) -> None:
    body = r"""
    int main(int argc, char **argv) {
        long pid = syscall(SYS_clone, 0x00800000 /* CLONE_UNTRACED */ | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0) for (;;) sleep(100);
        usleep(10000);
    }"""
    ok(run(body, UNTRACED))
    assert gone(UNTRACED)


# -- signals and restarts -------------------------------------------------------------------------------------------


def test_a_restarted_call_is_finished(run: Run, plan: type) -> None:
    body = r"""
    int fds[2];
    void ring(int _) { static int n; if (++n == 3) write(fds[1], "x", 1); else alarm_again(); }
    void alarm_again(void) { struct itimerval t = {{0, 0}, {0, 10000}}; setitimer(ITIMER_REAL, &t, 0); }
    int main(void) {
        char c; struct sigaction a = {.sa_handler = ring, .sa_flags = SA_RESTART};
        pipe(fds); sigaction(SIGALRM, &a, 0); alarm_again();
        printf("%zd\n", read(fds[0], &c, 1));
    }"""
    body = body.replace("int fds[2];", "int fds[2]; void alarm_again(void);")
    trace = run(body, interceptor=plan({READ: (0, Action(watch=True))}))
    ok(trace, b"1\n")
    assert trace.report.left[-1] == ("read", 1)  # type: ignore[attr-defined]
    assert all(result != -512 for _, result in trace.report.left)  # type: ignore[attr-defined]


def test_a_sleep_goes_on_after_a_stop(run: Run) -> None:
    body = r"""
    int main(void) {
        pid_t child = fork(); int s;
        if (child == 0) { struct timespec t = {0, 80000000}; _exit(nanosleep(&t, 0) == 0 ? 5 : 6); }
        usleep(20000); kill(child, SIGSTOP); usleep(20000); kill(child, SIGCONT);
        waitpid(child, &s, 0); return WEXITSTATUS(s);
    }"""
    assert run(body).outcome.ending == Exited(status=5)


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGRTMIN + 3])
def test_programs_get_default_dispositions_and_an_empty_mask(run: Run, number: int) -> None:
    body = r"""
    int main(int argc, char **argv) {
        sigset_t mask; sigprocmask(0, 0, &mask);
        for (int s = 1; s < 65; s++) {
            struct sigaction a;
            if (sigaction(s, 0, &a) == 0) assert(a.sa_handler == SIG_DFL);
            assert(sigismember(&mask, s) != 1);
        }
        raise(atoi(argv[1]));
    }"""
    assert run(body, str(int(number))).outcome.ending == Killed(signal=number)


# -- foreign ways into the kernel -----------------------------------------------------------------------------------


def filter_program(action: str) -> str:
    return r"""
    int main(void) {
        struct sock_filter f[] = {
            {0x20, 0, 0, 0}, {0x15, 0, 1, SYS_getppid}, {6, 0, 0, ACTION}, {6, 0, 0, SECCOMP_RET_ALLOW}};
        struct sock_fprog p = {4, f};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p)) return 9;
        syscall(SYS_getppid); return errno;
    }""".replace("ACTION", action)


@pytest.mark.parametrize("traced", [set(), {GETUID}, {GETPPID}])
def test_the_program_s_own_filters_hold(run: Run, plan: type, traced: set[int]) -> None:
    interceptor = plan({number: (0, Action(watch=True)) for number in traced}) if traced else None
    assert run(filter_program("SECCOMP_RET_ERRNO | 77"), interceptor=interceptor).outcome.ending == Exited(status=77)


def test_a_trace_filter_of_the_program_s_own_finds_no_tracer(run: Run, plan: type) -> None:
    trace = run(filter_program("SECCOMP_RET_TRACE | 5"), interceptor=plan({GETUID: (0, Action())}))
    assert trace.outcome.ending == Exited(status=38)  # ENOSYS, as seccomp(2) says


INT_80 = r"""
int main(void) { int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); return r == -38 ? 38 : r > 0 ? 1 : 2; }"""


@pytest.mark.parametrize("body", [INT_80, "int main(void) { syscall(0x40000000 | SYS_getpid); return errno; }"])
def test_another_abi_fails_closed_and_is_told(run: Run, plan: type, body: str) -> None:
    trace = run(body, interceptor=plan({GETPID: (0, Action())}))
    assert trace.outcome.ending == Exited(status=38)
    assert any("ABI" in note for note in trace.foreign)


def test_a_nested_tracer_is_refused_and_told(run: Run, plan: type) -> None:
    body = "int main(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 ? errno : 0; }"
    trace = run(body, interceptor=plan({GETPID: (0, Action())}))
    assert trace.outcome.ending == Exited(status=1)
    assert any("ptrace" in note for note in trace.foreign)


def test_privileges_are_given_up_only_for_confinement(run: Run, plan: type, folder: Path) -> None:
    body = "int main(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }"
    expected = 0 if os.geteuid() == 0 else 1
    assert run(body, interceptor=plan({GETPID: (0, Action())})).outcome.ending == Exited(status=expected)
    assert run(body, writable=(folder,)).outcome.ending == Exited(status=1)


@pytest.mark.needs("landlock")
def test_a_confined_program_writes_beneath_its_folders_only(run: Run, folder: Path, tmp_path: Path) -> None:
    body = "int main(int n, char **v) { return open(v[1], O_CREAT | O_WRONLY, 0600) < 0 ? errno : 0; }"
    assert run(body, str(tmp_path / "out"), writable=(folder,)).outcome.ending == Exited(status=EACCES)
    assert run(body, str(tmp_path / "out"), writable=(folder, tmp_path)).outcome.ending == Exited(status=0)


# -- actions --------------------------------------------------------------------------------------------------------


def test_a_suppressed_call_does_not_happen(run: Run, plan: type, folder: Path) -> None:
    body = 'int main(void) { return open("made-by-nobody", O_CREAT | O_WRONLY, 0600) < 0 ? errno : 0; }'
    last = run(body, interceptor=plan({OPENAT: (0, Action())})).report
    assert (folder / "made-by-nobody").exists()
    (folder / "made-by-nobody").unlink()
    nth = len(last.entered)  # type: ignore[attr-defined]
    trace = run(body, interceptor=plan({OPENAT: (nth, Action(suppress=-ENOENT))}))
    assert trace.outcome.ending == Exited(status=ENOENT)
    assert not (folder / "made-by-nobody").exists()


def test_a_replaced_result_comes_after_the_call(run: Run, plan: type) -> None:
    body = r"""
    int main(void) {
        int fd = dup(1); int first = close(fd) == -1 ? errno : 0;
        return close(fd) == -1 && errno == EBADF ? first : 99;
    }"""
    count = len(run(body, interceptor=plan({CLOSE: (0, Action())})).report.entered)  # type: ignore[attr-defined]
    trace = run(body, interceptor=plan({CLOSE: (count - 1, Action(replace=-EIO, watch=True))}))
    assert trace.outcome.ending == Exited(status=EIO)
    assert trace.report.left == [("close", 0)]  # type: ignore[attr-defined]


def test_a_changed_argument_is_put_back(run: Run, plan: type) -> None:
    body = r"""
    int main(void) {
        long length = 6, result = SYS_write;
        __asm__ volatile("syscall" : "+a"(result), "+d"(length) : "D"(1), "S"("abcdef") : "rcx", "r11", "memory");
        return result * 10 + length;
    }"""
    trace = run(body, interceptor=plan({WRITE: (1, Action(arguments=((2, 3),)))}))
    assert (trace.outcome.ending, trace.outcome.stdout) == (Exited(status=36), b"abc")


def test_another_call_instead(run: Run, plan: type) -> None:
    body = "int main(void) { return syscall(SYS_getppid) == getpid(); }"
    assert run(body).outcome.ending == Exited(status=0)
    assert run(body, interceptor=plan({GETPPID: (0, Action(syscall=GETPID))})).outcome.ending == Exited(status=1)


@pytest.mark.parametrize("action", [Action(signal=signal.SIGUSR1), Action(suppress=5, signal=signal.SIGUSR1)])
def test_a_signal_arrives_right_after_the_call(run: Run, plan: type, action: Action) -> None:
    body = r"""
    volatile int seen;
    void note(int _) { seen = 40; }
    int main(void) { signal(SIGUSR1, note); int pid = syscall(SYS_getppid); return seen + (pid == 5); }"""
    trace = run(body, interceptor=plan({GETPPID: (0, action)}))
    assert trace.outcome.ending == Exited(status=40 + (action.suppress is not None))


def delays(seconds: float) -> list[Action]:
    return [Action(delay_entry_s=seconds), Action(delay_exit_s=seconds), Action(suppress=1, delay_exit_s=seconds)]


@pytest.mark.parametrize("action", delays(0.2))
def test_a_delay_is_as_long_as_it_was_to_be(run: Run, plan: type, action: Action) -> None:
    body = r"""
    int main(void) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from); syscall(SYS_getppid); clock_gettime(CLOCK_MONOTONIC, &to);
        return (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec < 200000000;
    }"""
    trace = run(body, interceptor=plan({GETPPID: (0, action)}))
    ok(trace)
    assert trace.outcome.wall_s >= 0.2


@pytest.mark.parametrize("action", delays(1000.0))
def test_a_delay_holds_up_one_process_alone(run: Run, plan: type, action: Action) -> None:
    """The other one goes on, and ends the run long before the delay is over."""
    body = r"""
    int main(void) {
        int p[2]; char c; pipe(p);
        pid_t child = fork();
        if (child == 0) { write(p[1], "x", 1); syscall(SYS_getppid); write(1, "delayed\n", 8); _exit(0); }
        read(p[0], &c, 1); usleep(50000); write(1, "prompt\n", 7); kill(child, SIGKILL); wait(0);
    }"""
    ok(run(body, interceptor=plan({GETPPID: (0, action)})), b"prompt\n")


def test_a_failing_brk_returns_the_old_break(run: Run, plan: type) -> None:
    body = r"""
    int main(void) {
        long old = syscall(SYS_brk, 0), wanted = old + 4096, result = SYS_brk, kept = wanted;
        __asm__ volatile("syscall" : "+a"(result), "+D"(kept) : : "rcx", "r11", "memory");
        return result == old && kept == wanted ? 7 : result == wanted ? 0 : 1;
    }"""
    assert run(body, flags=("-static",)).outcome.ending == Exited(status=0)
    count = len(run(body, flags=("-static",), interceptor=plan({BRK: (0, Action())})).report.entered)  # type: ignore[attr-defined]
    trace = run(body, flags=("-static",), interceptor=plan({BRK: (count, Action(suppress=-ENOMEM))}))
    assert trace.outcome.ending == Exited(status=7)


def test_a_program_lives_without_brk(executor: Executor, folder: Path, plan: type) -> None:
    interceptor = plan({BRK: (0, Action(suppress=-ENOMEM))})
    outcome = executor.run(execution("ls", "/", folder=folder, interceptor=interceptor)).outcome
    assert outcome.ending == Exited(status=0)
    assert b"usr" in outcome.stdout


def test_what_a_call_can_be_asked(run: Run, plan: type, folder: Path) -> None:
    body = r"""
    int main(void) {
        int fd = open("asked.txt", O_CREAT | O_RDWR | O_APPEND, 0600);
        signal(SIGUSR1, exit);
        char *page = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(page + 4096, 4096);
        memcpy(page + 4091, "tail", 5);
        write(fd, page + 4091, 4);
    }"""
    interceptor = plan({WRITE: (0, Action())}, look="string")
    assert run(body, interceptor=interceptor).report.notes == [b"tail"]  # type: ignore[attr-defined]
    ((path, flags, cwd, program),) = run(body, interceptor=plan({WRITE: (0, Action())}, look="descriptor")).report.notes  # type: ignore[attr-defined]
    assert (path, cwd) == (str(folder / "asked.txt"), str(folder))
    assert flags & (os.O_ACCMODE | os.O_APPEND) == os.O_RDWR | os.O_APPEND
    assert Path(program).parent == folder
    assert run(body, interceptor=plan({WRITE: (0, Action())}, look="signals")).report.notes == [True]  # type: ignore[attr-defined]


def test_stacks_reach_the_program_from_start_up_on(run: Run, plan: type) -> None:
    """mmap stops in ld.so come first, so the maps change under the unwinder."""
    body = '__attribute__((noinline)) int deep(void) { return write(1, "x", 1); } int main(void) { return deep() + 1; }'
    MMAP = 9
    report = run(body, interceptor=plan({MMAP: (0, Action()), WRITE: (0, Action())}, look="stack")).report
    stacks = report.notes  # type: ignore[attr-defined]
    assert all(Path(stack[0].module).name.startswith("ld-linux") for stack in stacks[:2])
    assert ours(stacks[-1]) >= 3  # deep, main, _start


# -- deadly signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "access", "address"),
    [
        ("return *(volatile int *)64;", Access.READ, 64),
        ("*(volatile char *)64 = 1;", Access.WRITE, 64),
        ("memset((void *)0x1000, 1, argc * 5000);", Access.WRITE, None),
        ("memcpy(big, (void *)0x2000, argc * 5000);", Access.READ, None),
        ("((void (*)(void))0x3000)();", Access.EXEC, 0x3000),
        ("((void (*)(void))big)();", Access.EXEC, None),
        ("*(char *)(argc ? main : 0) = 1;", Access.WRITE, None),
        ("*(volatile int *)0x4141414141414141 = 1;", Access.WRITE, 0x4141414141414141),
        ("return *(volatile int *)0x4141414141414140;", Access.READ, 0x4141414141414140),
        ("(*(void (**)(void))0x5000)();", Access.READ, 0x5000),
        ("__asm__(\"movdqa (%0), %%xmm0\" :: \"r\"(0x6000L));", Access.READ, 0x6000),
        ("__asm__(\"movups %%xmm0, 16(%0)\" :: \"r\"(0x6000L));", Access.WRITE, 0x6010),
        ("__asm__(\"lock incl (%0)\" :: \"r\"(0x7000L));", Access.WRITE, 0x7000),
    ],
)  # fmt: skip
def test_a_wild_access_is_told(run: Run, statement: str, access: Access, address: int | None) -> None:
    body = "char big[8192]; int main(int argc, char **argv) { " + statement + " return 0; }"
    outcome = run(body, flags=("-fno-builtin",)).outcome
    assert outcome.ending == Killed(signal=signal.SIGSEGV)
    (fatal,) = outcome.fatals
    assert (fatal.signal, fatal.access, fatal.handled, fatal.stack_exhausted) == (signal.SIGSEGV, access, False, False)
    if address is not None:
        assert fatal.address == address
    assert ours(fatal.stack) >= 1


RECURSION = r"""
__attribute__((noinline, noclone)) long deep(long n) {
    volatile char pad[SIZE];
    pad[0] = n;
    return deep(n + 1) + pad[0];
}
void *thread(void *_) { return (void *)deep(1); }
int main(int argc, char **argv) {
    pthread_t t;
    if (argc > 1) { pthread_create(&t, 0, thread, 0); pthread_join(t, 0); }
    return deep(1);
}
"""


@pytest.mark.parametrize("arguments", [(), ("thread",)])
@pytest.mark.parametrize("size", ["64", "3000"])
def test_a_stack_without_room(run: Run, arguments: tuple[str, ...], size: str) -> None:
    flags = (f"-DSIZE={size}", "-fno-optimize-sibling-calls")
    outcome = run(RECURSION, *arguments, flags=flags).outcome
    assert outcome.ending == Killed(signal=signal.SIGSEGV)
    assert outcome.fatals[0].stack_exhausted
    assert len(outcome.fatals[0].stack) == 64


@pytest.mark.parametrize(
    ("body", "number", "message"),
    [
        ("int main(int argc, char **v) { return 100 / (argc - 1); }", signal.SIGFPE, None),
        ("int main(void) { __asm__(\"ud2\"); }", signal.SIGILL, None),
        ("int main(void) { abort(); }", signal.SIGABRT, None),
        ("int main(void) { assert(1 == 2); }", signal.SIGABRT, "Assertion `1 == 2' failed."),
        ("int main(void) { char *p = malloc(9); free(p); __asm__(\"\" : \"+r\"(p)); free(p); }", signal.SIGABRT,
         "free(): double free detected in tcache 2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flags", [(), ("-static",)])
def test_other_deaths(run: Run, body: str, number: int, message: str | None, flags: tuple[str, ...]) -> None:
    outcome = run(body, flags=(*flags, "-O0")).outcome
    assert outcome.ending == Killed(signal=number)
    (fatal,) = outcome.fatals
    assert fatal.signal == number
    assert fatal.abort_message is None if message is None else fatal.abort_message.endswith(message)
    assert len(fatal.stack) >= 2


def test_a_sigbus_beyond_the_file(run: Run) -> None:
    body = r"""
    int main(void) {
        int fd = open("short", O_CREAT | O_RDWR, 0600);
        return *(volatile char *)mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
    }"""
    outcome = run(body).outcome
    assert outcome.ending == Killed(signal=signal.SIGBUS)
    assert (outcome.fatals[0].signal, outcome.fatals[0].access) == (signal.SIGBUS, Access.READ)


def test_a_handled_fault_in_a_loop_stays_cheap_and_short(run: Run) -> None:
    body = r"""
    char *page; volatile int n;
    void handle(int s, siginfo_t *i, void *c) { if (++n == 500) _exit(n == 500 ? 6 : 1); }
    int main(void) {
        struct sigaction a = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &a, 0); *(volatile int *)8 = 1;
    }"""
    outcome = run(body).outcome
    assert outcome.ending == Exited(status=6)
    assert all(fatal.handled for fatal in outcome.fatals)
    assert 2 <= len(outcome.fatals) <= 9


def test_a_fault_of_a_child_counts(run: Run) -> None:
    body = "int main(void) { if (fork() == 0) *(volatile int *)8 = 1; wait(0); }"
    outcome = run(body).outcome
    assert outcome.ending == Exited(status=0)
    assert [fatal.signal for fatal in outcome.fatals] == [signal.SIGSEGV]


def test_the_stack_of_a_normal_exit(run: Run) -> None:
    body = "__attribute__((noinline)) void quit(void) { exit(4); } int main(void) { quit(); }"
    outcome = run(body, exit_stack=True).outcome
    assert outcome.ending == Exited(status=4)
    assert ours(outcome.exit_stack) >= 2
    assert 0 < outcome.peak_rss_bytes < 16 * MEBIBYTE
    assert run(body).outcome.exit_stack == ()


# -- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "stall"),
    [
        ("pthread_mutex_t m; int main(void) { pthread_mutex_lock(&m); pthread_mutex_lock(&m); }",
         Stall.DEADLOCK),
        ("int main(void) { int p[2]; char c; pipe(p); read(p[0], &c, 1); }", Stall.DEADLOCK),
        ("int main(void) { int p[2]; char c; pipe(p); if (fork() == 0) read(p[0], &c, 1); wait(0); }", Stall.DEADLOCK),
        ("int main(void) { for (;;) if (write(1, \"\", 0) < 0) break; }", Stall.LIVELOCK),
        ("int main(void) { for (;;) usleep(1000); }", Stall.LIVELOCK),
        ("int main(void) { for (volatile int i = 0;; i++); }", Stall.BUSY),
        ("int main(void) { pause(); }", Stall.WAITING),
        ("int main(void) { sleep(100); }", Stall.WAITING),
    ],
)  # fmt: skip
def test_what_a_program_was_doing_when_time_ran_out(run: Run, body: str, stall: Stall) -> None:
    outcome = run(body, limits=Limits(wall_s=0.15, cpu_s=10)).outcome
    assert outcome.ending == TimedOut(limit="wall", stall=stall)
    assert ours(outcome.stall_stack) >= 1
    assert outcome.wall_s < 5


SLOW_LOOK = """
import sys, time
from pathlib import Path
from firedamp.target import Limits
from firedamp.trace.protocol import Execution
from firedamp.trace.tracer import Tracer
from firedamp.trace.witness import Witness
look = Witness.see
def see(*words):
    look(*words)
    time.sleep(2)
Witness.see = see
program = Execution(argv=tuple(sys.argv[1:]), environment=(), folder=Path("/"), limits=Limits(wall_s=1.5))
print(Tracer().run(program, {}).outcome.ending)
"""


def test_the_time_in_which_we_look_at_a_death_is_not_the_programs(compiled: Callable[..., Path]) -> None:
    """On a machine that is slow or busy a crash is no time-out."""
    program = compiled("int main(void) { abort(); }")
    done = subprocess.run([sys.executable, "-c", SLOW_LOOK, program], capture_output=True, text=True, check=False)
    assert done.stdout == "Killed(signal=6)\n", done.stderr


def test_who_faults_for_ever_runs_out_of_time_all_the_same(run: Run) -> None:
    body = "void note(int _) {} int main(void) { signal(SIGSEGV, note); *(volatile int *)8 = 1; }"
    outcome = run(body, limits=Limits(wall_s=0.5)).outcome
    assert isinstance(outcome.ending, TimedOut) and len(outcome.fatals) > 1


@pytest.fixture
def crowd() -> Iterator[None]:
    """Three who want the one processor that we have now, and each may have as much of it as we."""
    allowed = os.sched_getaffinity(0)
    spin = [sys.executable, "-I", "-S", "-c", "while True: pass"]
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, allowed)
        os.sched_setaffinity(0, {min(allowed)})
        for _ in range(3):
            each = stack.enter_context(subprocess.Popen(spin, start_new_session=True))
            stack.callback(each.kill)
        yield


@pytest.mark.parametrize(
    ("body", "stall"),
    [("for (;;);", Stall.BUSY), ("pause();", Stall.WAITING)],
)
@pytest.mark.usefixtures("crowd")
def test_on_a_crowded_processor_too(compiled: Callable[..., Path], folder: Path, body: str, stall: Stall) -> None:
    program = compiled("int main(void) { " + body + " }")
    with Executor() as pinned:
        outcome = pinned.run(execution(str(program), folder=folder, limits=Limits(wall_s=1, cpu_s=10))).outcome
    assert outcome.ending == TimedOut(limit="wall", stall=stall)


def test_the_stack_of_a_busy_run_names_the_function_that_loops(run: Run) -> None:
    body = r"""
    __attribute__((noinline)) void turn(volatile long *n) { for (int i = 0; i < 1000; i++) ++*n; }
    __attribute__((noinline)) void spin(void) { volatile long n = 0; for (;;) { ++n; turn(&n); n *= 3; turn(&n); } }
    int main(void) { spin(); }"""
    outcome = run(body, limits=Limits(wall_s=0.15)).outcome
    assert outcome.ending == TimedOut(limit="wall", stall=Stall.BUSY)
    functions = [resolve_frame(frame).function for frame in outcome.stall_stack]
    assert functions.index("spin") < functions.index("main")


CALLEES = """
#define APART __attribute__((noinline))
static volatile long n;
APART static void turn(long times) { for (long i = 0; i < times || times < 0; i++) ++n; }
APART static void deeper(int depth) { if (depth) deeper(depth - 1); else turn(50); n++; }
static char t[2000];
"""
IN_A_THREAD = "int main(void) { pthread_t t; pthread_create(&t, 0, spin, 0); pthread_join(t, 0); }"
UNDER_SIGNALS = """
int main(void) {
  struct itimerval every = {{0, 20000}, {0, 20000}};
  signal(SIGALRM, note);
  setitimer(ITIMER_REAL, &every, 0);
  spin();
}
"""


@pytest.mark.needs("breakpoints")
@pytest.mark.parametrize(
    ("looping", "body"),
    [
        ("spin", "APART static void spin(void) { for (;;) turn(2000); } int main(void) { spin(); }"),
        ("spin", "APART static void spin(void) { for (;;) deeper(9); } int main(void) { spin(); }"),
        ("turn", "APART static void spin(void) { turn(-1); n++; } int main(void) { spin(); }"),
        (
            "spin",
            "APART static void spin(void) { for (;;) n += strlen(t); } int main(void) { memset(t, 1, 1999); spin(); }",
        ),
        ("spin", "APART static void *spin(void *p) { for (;;) turn(2000); return p; }" + IN_A_THREAD),
        ("spin", "void note(int s) { n += s; } APART static void spin(void) { for (;;) turn(2000); }" + UNDER_SIGNALS),
        ("turn", "void note(int s) { turn(-s); n++; } APART static void spin(void) { for (;;); }" + UNDER_SIGNALS),
    ],
)
def test_what_a_loop_calls_is_not_where_it_loops(run: Run, body: str, looping: str) -> None:
    """Nearly all of its time is spent in what it calls, and there each sample finds it."""
    outcome = run("#include <sys/time.h>" + CALLEES + body, limits=Limits(wall_s=0.15, cpu_s=10)).outcome
    assert outcome.ending == TimedOut(limit="wall", stall=Stall.BUSY)
    functions = [resolve_frame(frame).function for frame in outcome.stall_stack if frame.own]
    assert functions[0] == looping


KILLED_MEANWHILE = """
import os, signal, sys
from pathlib import Path
from firedamp.target import Limits
from firedamp.trace import loop
from firedamp.trace.protocol import Execution
from firedamp.trace.tracer import Tracer
ask, asked = loop.processor_s, []
def processor_s(tid):
    asked.append(tid)
    if len(asked) == 3:
        os.kill(tid, signal.SIGKILL)
    return ask(tid)
loop.processor_s = processor_s
program = Execution(argv=tuple(sys.argv[1:]), environment=(), folder=Path("/"), limits=Limits(wall_s=0.2))
print(Tracer().run(program, {}).outcome.ending, len(asked) >= 3)
"""


@pytest.mark.needs("breakpoints")
def test_who_is_killed_while_its_loop_is_looked_for_has_run_out_of_time(compiled: Callable[..., Path]) -> None:
    program = compiled("int main(void) { for (;;); }")
    command = [sys.executable, "-c", KILLED_MEANWHILE, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "TimedOut(limit='wall', stall=<Stall.BUSY: 'busy'>) True\n", done.stderr


def test_the_processor_limit(run: Run) -> None:
    outcome = run("int main(void) { for (;;); }", limits=Limits(wall_s=20, cpu_s=0.2)).outcome
    assert outcome.ending == TimedOut(limit="cpu", stall=Stall.BUSY)
    assert outcome.cpu_s >= 0.2


def test_the_memory_limit_counts_all_processes(run: Run) -> None:
    body = r"""
    int main(void) {
        for (int i = 0; i < 4; i++) if (fork() == 0) { memset(malloc(30 << 20), 1, 30 << 20); pause(); }
        pause();
    }"""
    outcome = run(body, limits=Limits(wall_s=10, memory_bytes=100 * MEBIBYTE)).outcome
    assert isinstance(outcome.ending, OutOfMemory)
    assert outcome.ending.resident_bytes > 100 * MEBIBYTE
    assert (
        run(body.replace("pause()", "_exit(0)"), limits=Limits(memory_bytes=200 * MEBIBYTE)).outcome.ending
        != outcome.ending
    )


def test_the_output_limit(run: Run) -> None:
    outcome = run("int main(void) { for (;;) putchar('x'); }", limits=Limits(output_bytes=100_000)).outcome
    assert outcome.ending == Killed(signal=signal.SIGXFSZ)
    assert outcome.stdout == b"x" * 100_000


# -- streams --------------------------------------------------------------------------------------------------------


def test_streams_by_name_lie_in_the_folder(executor: Executor, folder: Path) -> None:
    (folder / "in.txt").write_text("words")
    script = "cat; echo oops >&2"
    outcome = executor.run(
        execution("sh", "-c", script, folder=folder, stdin=Path("in.txt"), stdout=Path("both"), stderr=Path("both"))
    ).outcome
    assert (outcome.stdout, outcome.stderr) == (b"", b"")
    assert (folder / "both").read_text() == "wordsoops\n"


def test_descriptors_of_ours_keep_their_numbers(executor: Executor, folder: Path) -> None:
    reading, writing = os.pipe()
    try:
        program = f"echo through the pipe >&{writing}; ls /proc/self/fd | wc -l"
        outcome = executor.run(execution("bash", "-c", program, folder=folder, descriptors=(writing,))).outcome
        assert os.read(reading, 100) == b"through the pipe\n"
        assert int(outcome.stdout) == 5  # the three streams, the pipe, and the folder that ls reads
    finally:
        os.close(reading)
        os.close(writing)


INHERITING = """
import os, sys
from pathlib import Path
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
with Executor() as executor:
    environment = tuple(os.environ.items())
    executor.run(Execution(argv=tuple(sys.argv[1:]), environment=environment, folder=Path.cwd(), inherit_streams=True))
"""


def test_inherited_streams(folder: Path) -> None:
    command = [sys.executable, "-c", INHERITING, "sh", "-c", "cat; echo err >&2"]
    done = subprocess.run(command, input=b"in", capture_output=True, cwd=folder, check=True)
    assert (done.stdout, done.stderr) == (b"in", b"err\n")


# -- what cannot be run ---------------------------------------------------------------------------------------------


def test_what_cannot_be_run_is_a_usage_error(executor: Executor, folder: Path) -> None:
    def file(name: str, content: bytes) -> str:
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
        return f"./{name}"

    cases = {
        file("noexec", b"just text\n"): "neither",
        file("nointerp", b"#!/nonexistent/interp\n"): "interpreter '/nonexistent/interp'",
        "nonexistent-program": "not found in PATH",
        "./missing": "no such file",
    }
    for program, message in cases.items():
        with pytest.raises(UsageError, match=message):
            executor.run(execution(program, folder=folder))
    with (folder / "busy").open("wb") as busy:
        busy.write(Path("/bin/true").read_bytes())
        busy.flush()
        (folder / "busy").chmod(0o755)
        with pytest.raises(UsageError, match="open for writing"):
            executor.run(execution("./busy", folder=folder))
    with pytest.raises(UsageError, match="too long"):
        executor.run(execution("true", "x" * 200_000, folder=folder))
    with pytest.raises(UsageError, match="shorten"):
        executor.run(execution("true", *["x" * 100_000] * 60, folder=folder))
    with pytest.raises(UsageError, match="no folder"):
        executor.run(execution("true", folder=folder / "nowhere"))
    with pytest.raises(UsageError, match="must exist"):
        executor.run(execution("true", folder=folder, stdin=Path("nowhere")))
    ok(executor.run(execution("true", folder=folder)))


# -- our own deaths -------------------------------------------------------------------------------------------------


def test_a_mistake_in_an_interceptor_is_ours_and_leaves_no_process(
    executor: Executor, folder: Path, plan: type
) -> None:
    interceptor = plan({OPENAT: (0, Action())}, look="raise")
    with pytest.raises(WorkerDied, match="a mistake in an interceptor"):
        executor.run(execution("sleep", "100.001", folder=folder, interceptor=interceptor))
    assert gone("100.001")
    ok(executor.run(execution("true", folder=folder)))


LONG = """
import os, sys
from pathlib import Path
from firedamp.target import Limits
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
with Executor() as executor:
    try:
        executor.run(Execution(argv=tuple(sys.argv[1:]), environment=(), folder=Path("/"), limits=Limits(wall_s=60)))
    except KeyboardInterrupt:
        print("interrupted", executor.worker_pid)
"""


def long_run(program: Path, word: str) -> subprocess.Popen[bytes]:
    """A client with a running daemon and a running program."""
    client = subprocess.Popen([sys.executable, "-c", LONG, str(program), word, "wait"], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(orphans_and_program(client)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(orphans_and_program(client)) == 2
    return client


def orphans_and_program(client: subprocess.Popen[bytes]) -> list[int]:
    """Children of its worker: the program, and the daemon once nobody else is its parent."""
    return [child for worker in children_of(client.pid) for child in children_of(worker)]


def children_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_killing_the_client_leaves_no_process(compiled: Callable[..., Path]) -> None:
    with long_run(compiled(DAEMON), f"firedamp-daemon-2-{os.getpid()}") as client:
        (worker,) = children_of(client.pid)
        client.kill()
    assert gone(f"firedamp-daemon-2-{os.getpid()}")
    assert gone_pid(worker)


def gone_pid(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_killing_the_worker_leaves_no_process_and_is_told(compiled: Callable[..., Path]) -> None:
    with long_run(compiled(DAEMON), f"firedamp-daemon-3-{os.getpid()}") as client:
        (worker,) = children_of(client.pid)
        os.kill(worker, signal.SIGKILL)
        assert client.wait(60) == 1  # WorkerDied, uncaught
    assert gone(f"firedamp-daemon-3-{os.getpid()}")


def test_ctrl_c_leaves_no_process(compiled: Callable[..., Path]) -> None:
    with long_run(compiled(DAEMON), f"firedamp-daemon-4-{os.getpid()}") as client:
        client.send_signal(signal.SIGINT)
        assert client.communicate(timeout=60)[0] == b"interrupted None\n"
    assert gone(f"firedamp-daemon-4-{os.getpid()}")


def test_the_next_run_gets_a_new_worker(folder: Path) -> None:
    with Executor() as executor:
        ok(executor.run(execution("true", folder=folder)))
        first = executor.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert gone_pid(first)
        ok(executor.run(execution("true", folder=folder)))
        assert executor.worker_pid != first
    assert executor.worker_pid is None


def test_importing_the_client_does_not_load_the_tracer() -> None:
    program = "import sys, firedamp.trace.client; sys.exit('ptrace' in sys.modules or 'elftools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
