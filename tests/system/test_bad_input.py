"""What is wrong with the input, the machine or the target is said in a sentence with a remedy; nothing hostile escapes.

Beside tests/system/test_cli.py, which has the mistakes of usage.
"""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
HARNESS = "#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) "


def run(
    *words: str, folder: Path, env: dict[str, str] | None = None, start: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command; none of ours ever shows a traceback."""
    done = subprocess.run(
        [*FIREDAMP, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=250,
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
        preexec_fn=start,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def project(folder: Path, body: str, *, more: str = "") -> Path:
    (folder / "harness.c").write_text(HARNESS + body)
    (folder / "firedamp.toml").write_text(f'[targets.t]\nsources = ["harness.c"]\ntimeout_s = 2\n{more}')
    return folder


# -- the machine ----------------------------------------------------------------------------------------------------


def test_no_compiler_at_all_is_3_with_the_remedy(tmp_path: Path) -> None:
    project(tmp_path, "{ return 0; }")
    code = (
        "import importlib.util as util, sys; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'ziglang' else find(name, *rest)\n"
        "from firedamp.cli import main; sys.exit(main(['fuzz', 't', '--time', '1s']))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "no C compiler works on this machine" in done.stderr
    assert "apt-get install" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_compiler_that_is_not_there_is_3_with_those_that_are(tmp_path: Path) -> None:
    project(tmp_path, "{ return 0; }")
    done = run("build", "t", "--compiler", "clagn-99", folder=tmp_path)
    assert (done.returncode, "clagn-99" in done.stderr) == (3, True)


def test_a_database_from_a_newer_version_is_3_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results" / "findings.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    for words in (("findings",), ("show", "abcdef"), ("sweep", "--", "true")):
        done = run(*words, folder=tmp_path)
        assert done.returncode == 3, words
        assert "written by a newer firedamp" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("results", ["/proc/nowhere", "a-file"])
def test_results_that_cannot_be_written_are_3(tmp_path: Path, results: str) -> None:
    (tmp_path / "a-file").touch()
    done = run("sweep", "--results", results, "--", "true", folder=tmp_path)
    assert done.returncode == 3
    assert "give another folder with --results" in done.stderr


def obey_modes() -> None:
    """Drop CAP_DAC_OVERRIDE across execve, so that a read-only folder binds root too; others have none."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP in linux/prctl.h


@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_read_only_results_folder_is_3_and_still_lists(tmp_path: Path) -> None:
    words = ("sweep", "--syscall", "write", "--errno", "EIO", "--json", "--", "sh", "-c", "echo a > a.txt; exit 0")
    found = json.loads(run(*words, folder=tmp_path).stdout)["findings"]
    assert found
    results = tmp_path / "results"
    results.chmod(0o555)
    (results / "findings.db").chmod(0o444)
    try:
        again = run(*words, folder=tmp_path, start=obey_modes)
        listed = run("findings", "--json", folder=tmp_path, start=obey_modes)
    finally:
        results.chmod(0o755)
    assert again.returncode == 3
    assert "permissions" in again.stderr
    assert {each["id"] for each in json.loads(listed.stdout)["findings"]} == {each["id"] for each in found}


@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_neither_home_nor_a_terminal_is_needed(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TERM": "dumb", "NO_COLOR": "1"}
    done = run("sweep", "--syscall", "write", "--runs", "2", "--", "sh", "-c", "echo a > a", folder=tmp_path, env=env)
    assert done.returncode in (0, 1)
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [("findings",), ("doctor",), ("--help",), ("sweep", "--help")])
def test_a_reader_of_one_line_is_no_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$@" | head -1', "bash", *FIREDAMP, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_no_error(tmp_path: Path, closed: str) -> None:
    script = f'"$@" {closed}'
    done = subprocess.run(["sh", "-c", script, "sh", *FIREDAMP, "doctor"], cwd=tmp_path, capture_output=True, text=True)
    listed = subprocess.run(["sh", "-c", script, "sh", *FIREDAMP, "findings"], cwd=tmp_path, capture_output=True)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    assert listed.returncode == 0, listed.stderr


# -- what the user wrote --------------------------------------------------------------------------------------------


@pytest.mark.needs("clang")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{ return 0 }", "expected ';'"),
        ("{ int missing_function(size_t); return missing_function(size); }", "missing_function"),
        ("; int other(void) { return 0; }", "LLVMFuzzerTestOneInput"),
    ],
)
def test_what_does_not_build_is_2_in_the_compiler_s_own_words(tmp_path: Path, body: str, expected: str) -> None:
    done = run("build", "t", "--compiler", "clang", folder=project(tmp_path, body))
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert done.stdout == ""


def test_every_mistake_of_a_configuration_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text(
        '[targets.a]\nsources = "a.c"\ntimeout = 3\n[targets.b]\nsources = ["b.c"]\nmax_len = "long"\n'
        '[sweeps.c]\ncommand = ["c"]\nerrno = ["ENOSPCC"]\n'
    )
    done = run("build", "a", folder=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert all(line.startswith("firedamp.toml: ") for line in lines)
    for path in ("targets.a.sources", "targets.a.timeout", "targets.b.max_len", "sweeps.c.errno"):
        assert [line for line in lines if f": {path}" in line], (path, lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[targets.a\n", "line 1"),
        (b"[targets.a]\nsources = ['\xff']\n", "firedamp.toml"),
        (b"targets = 3\n", "targets"),
    ],
)
def test_a_file_that_is_no_toml_is_2(tmp_path: Path, text: bytes, expected: str) -> None:
    (tmp_path / "firedamp.toml").write_bytes(text)
    done = run("build", "a", folder=tmp_path)
    assert (done.returncode, expected in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("-e", "inject=opennat:error=EIO"),
            "-e:1:8: 'opennat' is no system call of x86-64 Linux; did you mean openat?",
        ),
        (("-e", "inject=openat:error=EIOO"), "-e:1:21: 'EIOO' is no errno; did you mean EIO?"),
        (("--policy", "bad.policy"), "bad.policy:2:13: "),
        (("--policy", "bytes.policy"), "bytes.policy:1:1: '\\udcff' means nothing here"),
        (("--policy", "gone.policy"), "gone.policy: cannot be read"),
        (("--policy", "."), "cannot be read"),
    ],
)
def test_a_policy_s_mistake_has_line_and_column(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    (tmp_path / "bad.policy").write_text('# comment\nwrite: path mtch "/x" then deny[enospc]\n')
    (tmp_path / "bytes.policy").write_bytes(b"\xff\xfe\x00")
    done = run("inject", *words, "--", "true", folder=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr


@pytest.mark.parametrize("program", ["./gone", "gone-program", "./plain", "./folder", "./script", "./text"])
@pytest.mark.parametrize("command", [("inject", "-e", "openat: deny[eio] when 99"), ("sweep",)])
def test_what_is_no_program_is_2(tmp_path: Path, program: str, command: tuple[str, ...]) -> None:
    (tmp_path / "plain").write_text("text")
    (tmp_path / "folder").mkdir()
    for name, text in (("script", "#!/gone/interpreter\n"), ("text", "just words\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = run(*command, "--", program, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert program.removeprefix("./") in done.stderr
    assert ";" in done.stderr  # the remedy


@pytest.mark.needs("clang")
@pytest.mark.parametrize("flag", ["-fork=1", "-jobs=2", "-merge=1", "-minimize_crash=1", "-artifact_prefix=x/"])
def test_a_flag_that_firedamp_replaces_names_the_command(tmp_path: Path, flag: str) -> None:
    done = run("fuzz", "t", "--runs", "1", "--unguarded", "--", flag, folder=project(tmp_path, "{ return 0; }"))
    assert done.returncode == 2, done.stderr
    assert "`firedamp " in done.stderr
    assert flag in done.stderr


# -- hostile targets ------------------------------------------------------------------------------------------------


@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_a_harness_that_dies_of_the_empty_input_is_a_finding_and_an_end(tmp_path: Path) -> None:
    """By a signal that is no mistake of the program's own, and so is not survived in process."""
    source = project(tmp_path, "{ if (size == 0) raise(SIGUSR1); return data[0]; }") / "harness.c"
    source.write_text("#include <signal.h>\n" + source.read_text())
    done = run("fuzz", "t", "--time", "30s", "--unguarded", "--json", folder=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert [each["kind"] for each in report["findings"]] == ["signal-SIGUSR1"]
    assert report["wall_s"] < 20  # an end of its own, not that of its time
    assert "the target ends on the empty input, which libFuzzer always runs first; return early for it" in done.stderr


@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_a_crash_on_the_empty_input_is_survived_and_fuzzing_goes_on(tmp_path: Path) -> None:
    project(tmp_path, "{ if (size == 0) __builtin_trap(); return data[0]; }")
    done = run("fuzz", "t", "--time", "90s", "--runs", "50000", "--unguarded", "--json", folder=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert [each["kind"] for each in report["findings"]] == ["ill"]
    assert report["executions"] >= 50_000


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_a_harness_that_prints_without_end_is_a_finding(tmp_path: Path) -> None:
    body = "{ static char text[1 << 16]; for (;;) write(1, text, sizeof text); }"
    source = project(tmp_path, body) / "harness.c"
    source.write_text("#include <unistd.h>\n" + source.read_text())
    done = run("fuzz", "t", "--time", "30s", "--unguarded", "--json", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert [each["kind"] for each in json.loads(done.stdout)["findings"]] == ["signal-SIGXFSZ"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A compiled program from the body of its main."""

    def compiled(body: str) -> Path:
        folder = tmp_path_factory.mktemp("program")
        source = folder / "hostile.c"
        source.write_text(PRELUDE + "int main(void) {\n" + body + "\n}\n")
        subprocess.run(["gcc", "-w", "-O1", "-pthread", "-o", folder / "hostile", source], check=True)
        return folder / "hostile"

    return compiled


PRELUDE = """
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void *work(void *unused) {
  for (int n = 0; n < 100; n++) {
    int fd = open("/dev/null", O_WRONLY);
    if (fd >= 0) { write(fd, "x", 1); close(fd); }
  }
  return 0;
}
"""
KILLS = "kill(getppid(), SIGKILL); kill(-1, SIGKILL); return 7;"
FORKS = "for (;;) fork();"
FLOODS = "static char b[1 << 16]; signal(SIGXFSZ, SIG_IGN); for (;;) if (write(1, b, sizeof b) < 0) pause();"
IGNORES = "for (int n = 1; n < 65; n++) signal(n, SIG_IGN); for (;;) pause();"
STOPS = "raise(SIGSTOP); return 7;"
CLOSES = "for (int n = 0; n < 1024; n++) close(n); return 7;"
MOVES = """chdir(".."); rename("work", "gone"); rmdir("gone"); symlink("/etc", "work"); return 7;"""
NAMES = """close(open("new\\nline \\033[31m\\xff", O_CREAT | O_WRONLY, 0)); mkdir("shut\\xfe", 0700);
close(open("shut\\xfe/in", O_CREAT | O_WRONLY, 0)); chmod("shut\\xfe", 0); return 7;"""
THREADS = """pthread_t t[64]; for (int n = 0; n < 64; n++) if (pthread_create(t + n, 0, work, 0)) return 3;
for (int n = 0; n < 64; n++) pthread_join(t[n], 0); return 7;"""


@pytest.mark.needs("gcc")
@pytest.mark.needs("landlock")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (KILLS, "exited with 7"),
        (FORKS, "time"),  # a stop for each fork: some thousands are the most
        (FLOODS, "time"),
        (IGNORES, "time"),
        (STOPS, "time"),
        (CLOSES, "exited with 7"),
        (MOVES, "exited with 7"),
        (NAMES, "exited with 7"),
    ],
    ids=["kills", "forks", "floods", "ignores", "stops", "closes", "moves", "names"],
)
def test_a_hostile_program_is_bounded_and_said(
    tmp_path: Path, program: Callable[[str], Path], body: str, ending: str
) -> None:
    hostile = program(body)
    words = ("--workdir", ".", "--timeout", "1s", "--json", "-e", "openat: deny[eio] when 999")
    done = run("inject", *words, "--", str(hostile), folder=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert ending in report["ending"]
    assert not (tmp_path / "gone").exists()
    assert not alive(hostile)


@pytest.mark.needs("gcc")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_sweep_of_what_ends_by_a_signal_says_so(tmp_path: Path, program: Callable[[str], Path]) -> None:
    done = run("sweep", "--runs", "1", "--", str(program("raise(SIGTERM); return 0;")), folder=tmp_path)
    assert "the clean run is killed by signal 15: no run under faults can be called a success" in done.stderr


@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_sweep_of_what_fails_already_says_so(tmp_path: Path) -> None:
    done = run("sweep", "--syscall", "close", "--", "cp", "not-there", "b", folder=tmp_path)
    assert "the clean run exits with 1 (cp: cannot stat 'not-there'" in done.stderr
    assert "memfd" not in done.stderr + done.stdout  # its own output has no name that a person knows


def alive(program: Path) -> list[str]:
    return [entry.name for entry in Path("/proc").glob("[0-9]*") if _is(entry, program)]


def _is(entry: Path, program: Path) -> bool:
    try:
        return (entry / "exe").readlink() == program
    except OSError:
        return False


@pytest.mark.needs("gcc")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_fault_on_every_call_of_many_threads(tmp_path: Path, program: Callable[[str], Path]) -> None:
    rule = "inject=write:error=EIO"
    words = ("inject", "--json", "-e", rule, "--", str(program(THREADS)))
    done = run(*words, folder=tmp_path)
    report = json.loads(done.stdout)
    assert report["status"] == 7, report
    assert "rule 1 decided 6,400 calls; only the first 200 faults of the run are listed" in report["notes"]
    assert {each["fault"] for each in report["strikes"]} == {"EIO"}
    assert len({each["pid"] for each in report["strikes"]}) == 1  # threads of one process
    assert all(each["took"] for each in report["strikes"])


@pytest.mark.needs("gcc")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_no_escape_sequence_of_a_program_reaches_the_terminal(tmp_path: Path, program: Callable[[str], Path]) -> None:
    hostile = program(
        'FILE *f = fopen("out\\033[31m\\xff", "w"); if (!f) return 1; fputs("text", f);'
        'if (fclose(f)) fputs("\\033]0;owned\\a\\xff", stderr); return 0;'
    )
    words = ("sweep", "--syscall", "write", "--syscall", "close", "--errno", "ENOSPC", "--errno", "EIO")
    done = run(*words, "--", str(hostile), folder=tmp_path)
    assert done.returncode == 1, done.stderr
    listed = json.loads(run("findings", "--json", folder=tmp_path).stdout)["findings"]
    shown = [run("show", each["id"], folder=tmp_path).stdout for each in listed]
    assert any("\\x1b]0;owned\\x07" in each and "out\\x1b[31m\\xff" in each for each in shown)
    for text in (done.stdout, done.stderr, *shown):
        assert all(each.isprintable() or each == "\n" for each in text)
