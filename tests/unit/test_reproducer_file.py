"""Reproducers on disk: everything comes back, what was altered is refused, and half a file is never seen."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firedamp import reproducer_file
from firedamp.errors import UsageError
from firedamp.finding import Detection, Severity
from firedamp.outcome import Frame
from firedamp.reproducer import Reproducer
from firedamp.target import InputMode, Limits, Profile, Target, TargetKind

# What an argument or a file name may hold: no NUL, and bytes that are no UTF-8 as lone surrogates.
WORD = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=8).filter(lambda value: b"\0" not in value).map(os.fsdecode),
)
WORDS = st.lists(WORD, max_size=3).map(tuple)
FOLDER = st.lists(st.sampled_from(["a", "b c", "ü", "..d"]), max_size=3).map(lambda parts: Path("/", *parts))
OPTIONAL = st.none() | WORD
SECONDS = st.floats(min_value=0.001, max_value=1e6)
BYTES = st.integers(min_value=1, max_value=1 << 50)
LIMITS = st.builds(Limits, wall_s=SECONDS, cpu_s=SECONDS, memory_bytes=BYTES, output_bytes=BYTES)
TARGETS = st.builds(
    Target,
    name=st.sampled_from(["png", "x.y", "9"]),
    kind=st.sampled_from(TargetKind),
    root=FOLDER,
    sources=WORDS,
    prepare=WORDS,
    cflags=WORDS,
    ldflags=WORDS,
    args=WORDS,
    command=WORDS,
    harness=OPTIONAL,
    input=st.sampled_from(InputMode),
    seeds=OPTIONAL,
    dictionary=OPTIONAL,
    max_len=st.integers(min_value=1, max_value=1 << 20),
    limits=LIMITS,
    setup=OPTIONAL,
    check=OPTIONAL,
    workdir=st.none() | FOLDER,
    stdin=OPTIONAL,
    stdout=OPTIONAL,
    stderr=OPTIONAL,
)
REPRODUCERS = st.builds(
    Reproducer,
    engine=st.sampled_from(["fuzz", "inject"]),
    target=TARGETS,
    profile=st.sampled_from(Profile),
    payload=st.binary(max_size=64),
)
TARGET = Target(name="cp", kind=TargetKind.COMMAND, root=Path("/r"), command=("cp", "a", "b"), input=InputMode.NONE)
POLICY = Reproducer(engine="inject", target=TARGET, profile=Profile.PLAIN, payload=b"# firedamp policy 1\n")
INPUT = Reproducer(engine="fuzz", target=TARGET, payload=b"\x00\xff\r\n")
DETECTION = Detection(
    guard="stack_smash",
    kind="stack-smash",
    cwe=121,
    severity=Severity.HIGH,
    place=("f+3",),
    frame=Frame(module="/bin/x", offset=3, function="f"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(reproducer=REPRODUCERS, portable=st.booleans())
def test_everything_comes_back(tmp_path: Path, reproducer: Reproducer, portable: bool) -> None:
    path = reproducer_file.write(reproducer, tmp_path / "f", portable=portable)
    assert reproducer_file.read(path) == reproducer


def test_the_names_and_where_a_replay_may_point(tmp_path: Path) -> None:
    fuzz = reproducer_file.write(INPUT, tmp_path / "1")
    inject = reproducer_file.write(POLICY, tmp_path / "2")
    kept = reproducer_file.write(INPUT, tmp_path / "3", name="smash.1")
    assert fuzz == tmp_path / "1" / "reproducer.toml"
    assert inject == tmp_path / "2" / "faults.policy"
    assert kept == tmp_path / "3" / "smash.1.toml"
    assert (tmp_path / "1" / "input").read_bytes() == INPUT.payload
    for path, reproducer in [
        (fuzz, INPUT),
        (fuzz.with_name("input"), INPUT),
        (fuzz.parent, INPUT),
        (inject, POLICY),
        (inject.with_suffix(".toml"), POLICY),
        (inject.parent, POLICY),
        (kept, INPUT),
        (kept.with_suffix(""), INPUT),
    ]:
        assert reproducer_file.read(path) == reproducer, path


def test_the_claim_is_kept(tmp_path: Path) -> None:
    path = reproducer_file.write(INPUT, tmp_path, detection=DETECTION)
    claim = reproducer_file.read_claim(path)
    assert claim is not None
    assert (claim.id, claim.kind, claim.function) == (DETECTION.identity("cp"), "stack-smash", "f")
    assert reproducer_file.read_claim(reproducer_file.write(INPUT, tmp_path)) is None


def test_a_portable_one_moves_with_its_project(tmp_path: Path) -> None:
    project = tmp_path / "old"
    target = Target(name="x", kind=TargetKind.HARNESS, root=project, sources=("x.c",))
    reproducer = Reproducer(engine="fuzz", target=target, payload=b"1")
    folder = project / "corpora" / "x" / "regressions"
    reproducer_file.write(reproducer, folder, name="one", portable=True)
    project.rename(tmp_path / "new")
    moved = reproducer_file.read(tmp_path / "new" / "corpora" / "x" / "regressions" / "one")
    assert moved.target.root == tmp_path / "new"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("format = 1", "format = 2", "format: 2 is not understood"),
        ('engine = "fuzz"', 'engine = "fuz"', "engine: 'fuz' is none of"),
        ('profile = "hardened"', 'profile = "soft"', "profile: 'soft' is none of"),
        ('kind = "command"', "kind = 3", "target.kind: 3 is not a string"),
        ('root = "/r"', "", "target.root: is missing"),
        ("wall_s = 5.0", 'wall_s = "5"', "target.limits.wall_s: '5' is not a number"),
        ('input = "none"', 'inputt = "none"', "target.inputt: unknown key"),
        ('payload = "input"', 'payload = "other"', "other: cannot be read"),
        ("format = 1", "format = ", "is no valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = reproducer_file.write(INPUT, tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        reproducer_file.read(path)
    assert str(tmp_path) in str(caught.value)
    assert expected in str(caught.value)


def test_an_altered_input_is_refused(tmp_path: Path) -> None:
    path = reproducer_file.write(INPUT, tmp_path)
    (tmp_path / "input").write_bytes(INPUT.payload + b"!")
    with pytest.raises(UsageError, match="SHA-256 differs"):
        reproducer_file.read(path)


def test_a_lonely_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.policy").write_text("")
    with pytest.raises(UsageError, match="no facts"):
        reproducer_file.read(tmp_path / "x.policy")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    reproducer_file.write_atomically(path, b"old")
    with pytest.raises(TypeError):
        reproducer_file.write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
