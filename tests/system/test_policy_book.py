"""The examples of systrace's chapter, as they are written there, on real programs: what they permit, deny and log."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.outcome import Exited, Killed, Outcome
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.decide.decider import Decider, DecisionReport
from inject.policy import lint, parse, unparse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"))
LS = (Path(__file__).parents[1] / "policies" / "ls.policy").read_text()


def permits(names: str) -> str:
    return "".join(f"{name}: permit\n" for name in names.split())


# What a program of Linux needs before its first line, and no BSD had.
LINUX = permits("execve arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom futex prctl")
# All that Python does, except for opening files, and connecting.
PYTHON = LINUX + permits("%memory %process %signal %creds sysinfo uname newfstatat readlink stat lstat statx getcwd")
PYTHON += permits("read write close fstat lseek ioctl fcntl dup getdents64 socket epoll_create access")
LOADED = ("/usr/*", "/lib*", "/etc/ld.so*", "/proc/*", f"{sys.base_prefix}/*")
PYTHON += "".join(f'fsread: filename match "{pattern}" then permit\n' for pattern in LOADED)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


class Bench:
    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor, self.folder = executor, folder

    def run(self, policy: str, *argv: str, mode: str = "enforce") -> tuple[Outcome, DecisionReport]:
        decider = Decider(parse(policy, "book"), mode, folder=str(self.folder))  # type: ignore[arg-type]
        execution = Execution(argv=argv, environment=ENVIRONMENT, folder=self.folder, interceptor=decider)
        trace = self.executor.run(execution)
        assert isinstance(trace.report, DecisionReport)
        return trace.outcome, trace.report

    def attempt(self, rule: str, *calls: str) -> tuple[list[str], DecisionReport]:
        """The errno of each call, 0 for none, where what the rule does not permit is denied."""
        attempts = (f"try: {each}\nexcept OSError as error: print(error.errno)\nelse: print(0)" for each in calls)
        program = "\n".join(("import os, socket", *attempts))
        outcome, report = self.run(f"{rule}\n{PYTHON}", sys.executable, "-I", "-S", "-c", program)
        assert outcome.ending == Exited(status=0), (outcome, report.log)
        return outcome.stdout.decode().split(), report


@pytest.fixture
def bench(executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "below").mkdir(parents=True)
    for name in ("home/note", "home/below/note", "home/.gaimrc"):
        (tmp_path / name).write_text("x")
    return Bench(executor, tmp_path)


def opening(name: str, flags: str = "os.O_RDONLY") -> str:
    return f"os.open({name!r}, {flags})"


def test_a_configuration_of_malloc_is_hidden(bench: Bench) -> None:
    rule = 'native-fsread: filename eq "/etc/malloc.conf" then deny[enoent]'
    said, report = bench.attempt(rule, opening("/etc/malloc.conf"), "os.readlink('/etc/malloc.conf')")
    assert said == ["2", "2"] and report.fired[0] == 2
    assert [strike.errno for strike in report.strikes if strike.rule == 0] == [2, 2]


def test_what_is_at_home_may_be_read(bench: Bench) -> None:
    rule = 'native-open: filename match "$HOME/*" and oflags sub "ro" then permit'
    home = str(bench.folder / "home")
    calls = [opening(f"{home}/note"), opening(f"{home}/below/note"), opening(f"{home}/note", "os.O_RDWR")]
    said, report = bench.attempt(rule, *calls, opening(f"{bench.folder}/elsewhere"))
    assert said == ["0", "0", "1", "1"] and report.fired[0] == 2


def test_one_file_may_be_written(bench: Bench) -> None:
    rule = 'native-fswrite: filename eq "$HOME/.gaimrc" then permit'
    calls = [opening(f"{bench.folder}/home/{name}", "os.O_WRONLY") for name in (".gaimrc", "note")]
    said, report = bench.attempt(rule, *calls, f"os.unlink('{bench.folder}/home/.gaimrc')")
    assert said == ["0", "1", "0"] and report.fired[0] == 2


def test_only_name_servers_are_called(bench: Bench) -> None:
    rule = 'native-connect: sockaddr match "inet-*:53" then permit'
    calls = [f"socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', {port}))" for port in (53, 54)]
    said, report = bench.attempt(rule, *calls)
    assert said == ["0", "1"] and report.fired[0] == 1
    assert any("deny user: " in line and "sockaddr: inet-[127.0.0.1]:54" in line for line in report.log)


def test_libraries_may_be_read_at_any_depth(bench: Bench) -> None:
    rule = 'native-fsread: filename match "/usr/lib/*" then permit'
    library = next(path for path in Path("/usr/lib").glob("*/*") if path.is_file())
    said, report = bench.attempt(rule, opening(str(library)), opening("/usr/lib/os-release"))
    assert said == ["0", "0"] and report.fired[0] >= 2


def test_a_file_named_star_is_logged_and_no_other(bench: Bench) -> None:
    rule = 'native-fsread: filename eq "*" then permit log'
    (bench.folder / "*").touch()
    (bench.folder / "plain").touch()
    said, report = bench.attempt(rule, opening(f"{bench.folder}/*"), opening(f"{bench.folder}/plain"))
    assert said == ["0", "1"] and report.fired[0] == 1
    (line,) = (line for line in report.log if " permit user: " in line)
    assert f"filename: {bench.folder}/*" in line and "policy: book, filters: 1" in line
    assert "did you mean match?" in "".join(map(str, lint(parse(rule))))
    meant = rule.replace("eq", "match")  # what the book's author meant: an audit trail of all that is read
    said, report = bench.attempt(meant, opening(f"{bench.folder}/plain"))
    assert said == ["0"] and sum("/plain" in line for line in report.log) == 1


def test_a_device_as_root(bench: Bench) -> None:
    rule = 'native-fswrite: filename eq "/dev/bpf0" then permit as root'
    said, report = bench.attempt(rule, opening("/dev/bpf0", "os.O_RDWR"))
    assert said == ["2"] and report.fired[0] == 1  # Linux has no such device: the kernel itself says so
    assert any("grants nothing" in str(note) for note in lint(parse(rule)))


def test_the_policy_of_ls_suffices_with_what_linux_adds(bench: Bench) -> None:
    (bench.folder / "a").touch()
    outcome, report = bench.run(LINUX + LS, "ls")
    assert outcome.ending == Exited(status=0) and outcome.stdout.split() == [b"a", b"home"], (outcome, report.log)
    without = LS.replace("native-getdirentries: \\\n\t\tpermit\n", "")
    assert without != LS
    outcome, report = bench.run(LINUX + without, "ls")
    assert outcome.ending == Exited(status=2) and b"Operation not permitted" in outcome.stderr
    assert any("native-getdents64(217)" in line for line in report.log)


def test_the_policy_of_ls_reads_back_and_its_bsd_names_are_noted() -> None:
    policy = parse(LS)
    assert parse(unparse(policy)) == policy
    never = [note.span.line for note in lint(policy) if "no such call" in note.message]
    assert never == [3, 4]  # __sysctl and issetugid: Linux has no such calls


def test_names_of_a_bsd_are_the_calls_of_linux(bench: Bench) -> None:
    _, report = bench.run(LS, "ls", mode="inject")
    fired = {rule.syscall: count for rule, count in zip(parse(LS).rules, report.fired, strict=True)}  # type: ignore[union-attr]
    assert fired["break"] > 0 and fired["getdirentries"] > 0 and fired["__sysctl"] == 0


def test_a_denied_exit_ends_in_a_death(bench: Bench) -> None:
    outcome, report = bench.run("native-exit: deny", "true", mode="inject")
    assert isinstance(outcome.ending, Killed) and report.fired[0] > 1  # exit_group, then exit
