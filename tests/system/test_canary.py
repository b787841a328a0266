"""What a smashed canary tells: the buffer, how far past it, and the bytes of the input that lie on it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firedamp.building.build import build
from firedamp.finding import Detection, Effect
from firedamp.guards import judge
from firedamp.outcome import Smash
from firedamp.run import Bench
from firedamp.target import Profile, Target, TargetKind
from firedamp.trace.client import Executor

TARGETS = Path(__file__).parents[1] / "targets" / "canary"
COUNTING = bytes(range(0x80, 0x80 + 40))  # each byte once: a place in it is told by its bytes
MODES = [
    pytest.param(compiler, mode, marks=pytest.mark.needs(compiler))
    for compiler, modes in (
        ("gcc", ("strong", "all", "explicit")),
        ("clang", ("strong", "all")),
    )  # clang has no explicit
    for mode in modes
]
BOTH = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")]
Smashing = Callable[..., Detection | None]


@pytest.fixture(scope="module")
def smashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smashing]:
    cache, work = tmp_path_factory.mktemp("builds"), tmp_path_factory.mktemp("work")
    executor = Executor()

    def run(
        source: str, compiler: str, data: bytes, *cflags: str, profile: Profile = Profile.HARDENED
    ) -> Detection | None:
        target = Target(name="c", kind=TargetKind.HARNESS, root=TARGETS, sources=(source,), cflags=cflags)
        made = build(target, profile, compiler=compiler, cache=cache, allow_unguarded=True)
        with Bench(target, made, workdir=work, executor=executor) as bench:
            said = judge(bench.run_input(data))
        return said[0] if said else None

    with executor:
        yield run


def smash_of(detection: Detection | None) -> Smash:
    assert detection is not None and detection.kind == "stack-smash" and detection.smash is not None
    return detection.smash


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize(("compiler", "mode"), MODES)
def test_the_bytes_of_the_input_on_the_canary_are_named(smashing: Smashing, compiler: str, mode: str) -> None:
    flags = (f"-fstack-protector-{mode}", *(("-DEXPLICIT",) if mode == "explicit" else ()))
    smash = smash_of(smashing("detail.c", compiler, COUNTING, *flags))
    assert smash.canary_input is not None and not smash.ambiguous
    start, end = smash.canary_input
    assert COUNTING[start:end] == bytes.fromhex(smash.found)
    assert (smash.buffer, smash.buffer_bytes, smash.proved) == ("name[]", 16, True)
    assert smash.overrun_bytes == len(COUNTING) - 16


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", BOTH)
def test_bytes_that_were_changed_on_their_way_are_not_claimed(smashing: Smashing, compiler: str) -> None:
    found = smashing("detail.c", compiler, COUNTING, "-DKEY=0x55")
    smash = smash_of(found)
    assert smash.canary_input is None and smash.return_input is None and not smash.proved
    assert (smash.buffer, smash.buffer_bytes) == ("name[]", 16)
    assert smash.overrun_bytes is not None and 0 < smash.overrun_bytes <= len(COUNTING) - 16
    assert found is not None and any("is not known" in line for line in found.evidence)


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", BOTH)
def test_a_function_that_stays_in_its_buffer_has_nothing_to_tell(smashing: Smashing, compiler: str) -> None:
    assert smashing("detail.c", compiler, COUNTING, "-DFIXED") is None


@pytest.mark.needs("ptrace", "gcc")
def test_two_places_with_the_same_bytes_are_said(smashing: Smashing) -> None:
    """The harness stops at a newline: which of the two copies it read, their bytes alone do not tell."""
    twice = smash_of(smashing("detail.c", "gcc", COUNTING + b"\n" + COUNTING, "-DLINE"))
    assert twice.ambiguous and twice.canary_input is not None
    assert not smash_of(smashing("detail.c", "gcc", COUNTING + b"\n", "-DLINE")).ambiguous


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", BOTH)
def test_of_two_arrays_the_one_that_ran_over_is_named(smashing: Smashing, compiler: str) -> None:
    smash = smash_of(smashing("two.c", compiler, b"key=" + COUNTING + COUNTING[::-1]))
    assert (smash.buffer, smash.buffer_bytes, smash.proved) == ("value[]", 32, True)
    assert smash.overrun_bytes == 2 * len(COUNTING) - 32


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", BOTH[:1])
def test_without_debug_information_the_buffer_is_unknown_and_the_input_is_not(
    smashing: Smashing, compiler: str
) -> None:
    found = smashing("detail.c", compiler, COUNTING, "-g0")
    smash = smash_of(found)
    assert (smash.buffer, smash.buffer_bytes, smash.overrun_bytes) == (None, None, None)
    assert smash.canary_input is not None
    assert found is not None and any("which buffer ran over is not known" in line for line in found.evidence)


@pytest.mark.needs("ptrace", "gcc")
def test_details_are_no_part_of_the_identity(smashing: Smashing) -> None:
    near, far = (smashing("detail.c", "gcc", COUNTING[:size]) for size in (36, 40))
    assert near is not None and far is not None and near.smash != far.smash
    assert near.identity("t") == far.identity("t") == replace(far, smash=None, message="").identity("t")


@pytest.mark.needs("ptrace", "gcc")
def test_the_plain_build_has_no_canary_whatever_the_target_asks_for(smashing: Smashing) -> None:
    found = smashing("detail.c", "gcc", COUNTING, "-fstack-protector-all", profile=Profile.PLAIN)
    assert found is None or found.kind != "stack-smash"


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", BOTH)
def test_without_a_canary_the_input_chooses_where_the_function_returns_to(smashing: Smashing, compiler: str) -> None:
    """The bytes make no address of x86-64, so the return itself faults and no page of anybody's is run."""
    found = smashing("detail.c", compiler, COUNTING, profile=Profile.PLAIN)
    assert found is not None and (found.kind, found.effect) == ("segv-exec", Effect.TAKEOVER)
    assert "the input chose the address" in found.because
    assert smashing("detail.c", compiler, COUNTING, "-DFIXED", profile=Profile.PLAIN) is None
