"""firedamp.toml: what it means, and that every mistake is reported at once, with its key and a suggestion."""

from pathlib import Path

import pytest

from firedamp import project
from firedamp.cli.session import search
from firedamp.config import load
from firedamp.errors import ConfigError
from firedamp.target import MEBIBYTE, InputMode, TargetKind

DESIGN = """
[targets.png]
sources = ["harness.c", "lib/*.c"]
prepare = ["./configure --disable-shared"]
cflags = ["-Ilib", "-DX=1"]
ldflags = ["-lz"]
seeds = "corpora/png/seeds"
dictionary = "png.dict"
max_len = 4096
timeout_s = 5
memory_mb = 1024

[targets.tool]
program = true
sources = ["tool.c"]
args = ["-i", "@@"]
input = "file"

[targets.installed]
command = ["/usr/bin/tool", "-i", "@@"]

[targets.py]
harness = "pkg.mod:function"

[sweeps.copy]
command = ["cp", "a", "b"]
setup = "seq 100 > a"
check = "cmp a b"
stdout = "out.txt"
errno = "ENOSPC"
syscall = ["write", "close"]
startup = true
malloc = true
pairs = true
recovery = true
budget_s = 600
"""


def write(folder: Path, text: str, name: str = project.NAME) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text))
    return caught.value.problems


def test_every_key_arrives(tmp_path: Path) -> None:
    config = load(write(tmp_path, DESIGN))
    png, tool, installed, python = (config.targets[name] for name in ("png", "tool", "installed", "py"))
    assert (png.kind, png.input, png.root) == (TargetKind.HARNESS, InputMode.BUFFER, tmp_path)
    assert png.sources == ("harness.c", "lib/*.c")
    assert png.prepare == ("./configure --disable-shared",)
    assert (png.cflags, png.ldflags) == (("-Ilib", "-DX=1"), ("-lz",))
    assert (png.limits.wall_s, png.limits.memory_bytes) == (5.0, 1024 * MEBIBYTE)
    assert (tool.kind, tool.input, tool.args) == (TargetKind.PROGRAM, InputMode.FILE, ("-i", "@@"))
    assert (installed.kind, installed.input) == (TargetKind.COMMAND, InputMode.FILE)
    assert (python.kind, python.harness) == (TargetKind.PYTHON, "pkg.mod:function")
    sweep = config.sweeps["copy"]
    assert (sweep.errnos, sweep.syscalls) == (("ENOSPC",), ("write", "close"))
    assert (sweep.startup, sweep.malloc, sweep.pairs, sweep.recovery, sweep.budget_s) == (True, True, True, True, 600.0)
    assert (sweep.target.kind, sweep.target.input) == (TargetKind.COMMAND, InputMode.NONE)
    assert (sweep.target.setup, sweep.target.check, sweep.target.stdout) == ("seq 100 > a", "cmp a b", "out.txt")


def test_without_a_placeholder_the_input_is_stdin(tmp_path: Path) -> None:
    config = load(write(tmp_path, '[targets.x]\ncommand = ["cat"]\n'))
    assert config.targets["x"].input is InputMode.STDIN


def test_a_short_count_stands_among_the_errnos(tmp_path: Path) -> None:
    config = load(write(tmp_path, '[sweeps.cp]\ncommand = ["cp", "a", "b"]\nerrno = ["EIO", "short"]\n'))
    assert config.sweeps["cp"].errnos == ("EIO", "short")


def test_the_issue_s_own_example(tmp_path: Path) -> None:
    text = '[sweeps.cp]\ncommand = ["cp", "a", "b"]\nerrno = "ENOSPCC"\n'
    assert problems(tmp_path, text) == ("firedamp.toml: sweeps.cp.errno: 'ENOSPCC' is no errno; did you mean ENOSPC?",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[target.x]\n", "target: unknown key; did you mean targets?"),
        (
            '[targets.x]\nsources = ["a.c"]\ndictonary = "d"\n',
            "targets.x.dictonary: unknown key; did you mean dictionary?",
        ),
        (
            '[targets.x]\nsources = ["a.c"]\ninput_from = "afar"\n',
            "targets.x.input_from: 'afar' is neither 'remote' nor 'local'",
        ),
        ('[targets.x]\nsources = "a.c"\n', "targets.x.sources: 'a.c' is no list"),
        ('[targets.x]\nsources = ["a.c", 3]\n', "targets.x.sources[1]: 3 is no string"),
        ("[targets.x]\nsources = []\n", "targets.x.sources: is empty"),
        ('[targets.x]\nsources = ["a.c"]\nmax_len = "9"\n', "targets.x.max_len: '9' is no whole number"),
        ('[targets.x]\nsources = ["a.c"]\nmax_len = 0\n', "targets.x.max_len: 0 is too small: at least 1"),
        ('[targets.x]\nsources = ["a.c"]\ntimeout_s = 0\n', "targets.x.timeout_s: 0 is too small"),
        ('[targets.x]\nsources = ["a.c"]\ntimeout_s = nan\n', "targets.x.timeout_s: nan"),
        ('[targets.x]\nsources = ["a.c"]\nprogram = "yes"\n', "targets.x.program: 'yes' is neither true nor false"),
        ("[targets.x]\nmax_len = 5\n", "targets.x: exactly one of sources, artifact, command, harness"),
        ('[targets.x]\nsources = ["a"]\ncommand = ["b"]\n', "found sources and command"),
        ('[targets.x]\nharness = "no-colon"\n', "targets.x.harness: 'no-colon' is no harness"),
        ('[targets.x]\nharness = "a:b"\ncflags = ["-O1"]\n', "targets.x.cflags: needs sources"),
        ('[targets.x]\nsources = ["a"]\nargs = ["b"]\n', "targets.x.args: belongs to a target with program = true"),
        ('[targets.x]\ncommand = ["a"]\ninput = "fil"\n', "targets.x.input: 'fil' is no way in; did you mean file?"),
        ('[targets.x]\ncommand = ["a"]\ninput = "argv"\n', "targets.x.input: 'argv' needs @@"),
        ('[targets.x]\nsources = ["a"]\ninput = "stdin"\n', "targets.x.input: belongs to a program or a command"),
        ('[targets."../x"]\nsources = ["a"]\n', "'../x' is no name"),
        ('[targets.".x"]\nsources = ["a"]\n', "'.x' is no name"),
        ("[sweeps.x]\n", "sweeps.x.command: is missing"),
        ('[sweeps.x]\ncommand = ["a"]\nmaloc = true\n', "sweeps.x.maloc: unknown key; did you mean malloc?"),
        ('[sweeps.x]\ncommand = ["a"]\nbudget_s = inf\n', "sweeps.x.budget_s: inf is not finite"),
        ('[sweeps.x]\ncommand = ["a"]\nbudget_s = -1\n', "sweeps.x.budget_s: -1 is too small"),
        ('[sweeps.x]\ncommand = ["a"]\nsources = ["b"]\n', "sweeps.x.sources: unknown key"),
        ("targets = 3\n", "targets: 3 is no table"),
        ("[targets]\nx = 3\n", "targets.x: 3 is no table; write [targets.x]"),
        ("[targets.x\n", "is no valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith("firedamp.toml: ")
    assert expected in found[0]


def test_every_mistake_at_once_in_file_order(tmp_path: Path) -> None:
    sweep = '[sweeps.b]\ncommand = ["x"]\nerrno = ["EIO", "EBAD"]\n'
    text = sweep + '[targets.a]\ninput = "fil"\nmax_len = "1"\nsorces = ["a"]\n'
    keys = [each.split(": ")[1] for each in problems(tmp_path, text)]
    assert keys == ["sweeps.b.errno", "targets.a", "targets.a.input", "targets.a.max_len", "targets.a.sorces"]


def test_pyproject_serves_as_well_and_is_named(tmp_path: Path) -> None:
    write(tmp_path, '[project]\nname = "x"\n[tool.firedamp.targets.x]\nsources = ["a.c"]\n', project.PYPROJECT)
    inner = tmp_path / "src" / "deep"
    inner.mkdir(parents=True)
    config = search(inner)
    assert (config.root, config.path) == (tmp_path, tmp_path / project.PYPROJECT)
    assert config.targets["x"].root == tmp_path
    write(tmp_path, "[tool.firedamp.targets.x]\nsource = 3\n", project.PYPROJECT)
    with pytest.raises(ConfigError, match=r"^pyproject\.toml: tool\.firedamp\.targets\.x"):
        search(inner)


def test_the_nearest_configuration_wins_and_none_is_an_empty_one(tmp_path: Path) -> None:
    write(tmp_path, '[targets.outer]\nsources = ["a.c"]\n')
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", '[project]\nname = "no word of us"\n', project.PYPROJECT)
    assert list(search(tmp_path / "inner").targets) == ["outer"]
    write(tmp_path / "inner", '[targets.inner]\nsources = ["a.c"]\n')
    assert list(search(tmp_path / "inner").targets) == ["inner"]
    (tmp_path / project.NAME).unlink()
    (tmp_path / "inner" / project.NAME).unlink()
    empty = search(tmp_path / "inner")
    assert (empty.path, empty.root, dict(empty.targets)) == (None, tmp_path / "inner", {})
