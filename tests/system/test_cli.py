"""The command line as a person and a script use it: exit codes, streams, and what is said of mistakes."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import click
import pytest

from firedamp import cli
from firedamp.cli.options import Duration

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")


def run(*words: str, folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIREDAMP, *words], cwd=folder, capture_output=True, text=True, timeout=250, check=False, env=env
    )


def test_help_teaches_each_command(tmp_path: Path) -> None:
    whole = run("--help", folder=tmp_path)
    assert whole.returncode == 0
    for name in cli.COMMANDS:
        assert f"  {name} " in whole.stdout
        one = run(name, "--help", folder=tmp_path)
        assert one.returncode == 0
        assert (
            f"    firedamp {name}" in one.stdout
            or f"  firedamp {name}" in one.stdout
            or "&& firedamp init" in one.stdout
        )


def test_no_option_is_without_words() -> None:
    for name in cli.COMMANDS:
        command = cli.firedamp.get_command(click.Context(cli.firedamp), name)
        assert command is not None
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [each.opts for each in options if not each.help] == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from firedamp.cli import main; main(['--help']); main(['fuzz', '--help']); "
        "sys.exit(bool({'rich', 'pydantic', 'elftools', 'sqlite3', 'ptrace', 'atheris'} & sys.modules.keys()))"
    )
    assert _ends_with_zero(code)


@pytest.mark.needs("gcc", "ptrace")
def test_a_search_without_a_finding_loads_nothing_that_draws_tables(tmp_path: Path) -> None:
    (tmp_path / "t.c").write_text("int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return 0; }\n")
    (tmp_path / "firedamp.toml").write_text('[targets.t]\nsources = ["t.c"]\n')
    code = (
        "import sys; from firedamp.cli import main; "
        "code = main(['fuzz', 't', '--runs', '1', '--compiler', 'gcc', '--unguarded']); "
        "sys.exit(code or 'rich' in sys.modules)"
    )
    assert _ends_with_zero(code, tmp_path)


def _ends_with_zero(code: str, folder: Path | None = None) -> bool:
    # A measured process has loaded what coverage needs before it does anything of ours.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, check=False, env=unmeasured, cwd=folder
    )
    return run.returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("fuz",), "did you mean fuzz?"),
        (("fuzz",), "TARGET"),
        (("fuzz", "x"), "there is no firedamp.toml here or above; `firedamp init` writes one"),
        (("fuzz", "x", "--time", "5x"), "'5x' is no duration"),
        (("fuzz", "x", "--time", "5s"), "there is no firedamp.toml here or above; `firedamp init` writes one"),
        (("sweep",), "a command behind --"),
        (("sweep", "--", "no-such-program"), "no such program in PATH"),
        (("sweep", "--errno", "ENOSPCC", "--", "true"), "'ENOSPCC' is no errno; did you mean ENOSPC?"),
        (("inject", "--", "true"), "give -e RULE or --policy FILE"),
        (("inject", "-e", "x"), "no command"),
        (("replay", "0123456789ab"), "nothing was found yet"),
        (("replay", "gone/faults.policy"), "there is no such file"),
        (("show", "abc"), "is not known"),
        (("keep", "abc"), "is not known"),
        (("init",), "no C file defines LLVMFuzzerTestOneInput or main"),
    ],
)
def test_a_mistake_of_usage_is_2_with_a_remedy_and_an_empty_stdout(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    done = run(*words, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_configuration_begins_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text('[sweeps.cp]\ncommand = ["cp"]\nerrno = "ENOSPCC"\n')
    done = run("sweep", "cp", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "firedamp.toml: sweeps.cp.errno: 'ENOSPCC' is no errno; did you mean ENOSPC?\n"


def test_an_unknown_target_is_told_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text('[targets.png]\nsources = ["a.c"]\n[targets.xml]\nsources = ["b.c"]\n')
    done = run("build", "pgn", folder=tmp_path)
    assert done.returncode == 2
    assert "did you mean png? (targets: png, xml)" in done.stderr
    assert "did you mean png? (targets: png, xml)" in run("fuzz", "xml", "pgn", folder=tmp_path).stderr
    assert "give --time or --runs" in run("fuzz", "xml", "png", folder=tmp_path).stderr


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("system", "Darwin", "this is Darwin on x86_64"),
        ("machine", "aarch64", "this is Linux on aarch64"),
        ("python_implementation", "PyPy", "needs CPython 3.11 or newer, and this is PyPy"),
    ],
)
def test_another_platform_is_3_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], attribute: str, value: str, expected: str
) -> None:
    assert cli.main(["--version"]) == 0
    monkeypatch.setattr(platform, attribute, lambda: value)
    assert cli.main(["--version"]) == 3
    assert expected in capsys.readouterr().err


def test_ctrl_c_while_the_process_ends_is_not_heard() -> None:
    program = (
        "import atexit, os, signal, sys; from firedamp.cli import main; sys.argv = ['firedamp', '--version']; "
        "atexit.register(os.kill, os.getpid(), signal.SIGINT); sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60.0), ("10m", 600.0), ("1h30m", 5400.0), ("90", 90.0), ("0.5s", 0.5), ("250ms", 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 s", "5y", "0s", "1s2", "inf", "nan", "1e3"])
def test_what_is_no_duration(text: str) -> None:
    if text == "1s2":  # the last part without a unit counts seconds
        assert Duration().convert(text, None, None) == 3.0
        return
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_no_findings_yet(tmp_path: Path) -> None:
    assert run("findings", folder=tmp_path).stdout == "nothing was found yet\n"
    done = run("findings", "--json", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"schema": 1, "findings": []})
    assert list(tmp_path.iterdir()) == []


def test_no_regressions_yet_is_said_and_is_0(tmp_path: Path) -> None:
    done = run("regress", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "there are no regressions yet" in done.stderr


def test_the_doctor_names_each_need(tmp_path: Path) -> None:
    done = run("doctor", "--json", folder=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 3)
    names = [row["what"] for row in report["rows"]]
    for name in (
        "compilers",
        "gcov",
        "libc",
        "atheris",
        "ptrace",
        "seccomp",
        "privileges",
        "landlock",
        "namespaces",
        "core_pattern",
        "disk",
    ):
        assert name in names
    assert all(row["remedy"] for row in report["rows"] if row["health"] != "ok")


def test_a_machine_without_a_compiler_is_told_the_remedy(tmp_path: Path) -> None:
    done = run("doctor", folder=tmp_path, env={"PATH": str(tmp_path), "PYTHONPATH": ""})
    row = next(line for line in done.stdout.splitlines() if " compilers" in line)
    assert "zig" in row or (done.returncode == 3 and "apt-get install clang" in done.stdout)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*FIREDAMP, "findings", "--json"], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*FIREDAMP, "findings"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_database_is_3_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "findings.db").write_bytes(b"no database at all" * 100)
    done = run("findings", folder=tmp_path)
    assert done.returncode == 3
    assert "move it away" in done.stderr


def test_init_finds_the_harness_and_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("*.o")
    (tmp_path / "harness.c").write_text(
        "int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return 0; }\n"
    )
    (tmp_path / "parse.c").write_text("int parse(void) { return 0; }\n")
    (tmp_path / "tool.c").write_text("int main(void) { return 0; }\n")
    done = run("init", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'sources = ["harness.c", "parse.c"]' in (tmp_path / "firedamp.toml").read_text()
    assert (tmp_path / "corpora" / "parse" / "seeds" / "first").read_bytes()
    assert (tmp_path / ".gitignore").read_text() == "*.o\nresults/\n"
    before = (tmp_path / "firedamp.toml").read_bytes()
    again = run("init", folder=tmp_path)
    assert again.returncode == 2
    assert "is not overwritten" in again.stderr
    assert (tmp_path / "firedamp.toml").read_bytes() == before


@pytest.mark.needs("clang")
def test_init_of_a_program_can_be_built(tmp_path: Path) -> None:
    (tmp_path / "tool.c").write_text(
        '#include <stdio.h>\nint main(int argc, char **argv) { char b[64]; FILE *f = fopen(argv[1], "r");\n'
        "return f && fgets(b, sizeof b, f) ? b[argc] == 'x' : 1; }\n"
    )
    assert run("init", folder=tmp_path).returncode == 0
    done = run("build", "tool", "--compiler", "clang", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stack canary" in done.stdout
