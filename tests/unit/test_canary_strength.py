"""What several looks at a program's canary say of it."""

from firedamp.canary.functions import Census, checks_canary
from firedamp.canary.strength import Run, lines, strength
from firedamp.canary.watch import Leak, Sighting
from firedamp.outcome import Frame

NOTHING = Census(known=False)


def look(canary: int, pid: int = 100, tid: int | None = None, parent_pid: int = 1) -> Sighting:
    return Sighting(pid=pid, tid=tid or pid, parent_pid=parent_pid, canary=canary)


def run(*sightings: Sighting) -> Run:
    return sightings, ()


def words(*runs: Run, census: Census = NOTHING) -> str:
    return "\n".join(lines(strength(runs, census)))


def test_glibcs_canary_has_seven_random_bytes_and_a_nul() -> None:
    found = strength((run(look(0x1122334455667700)), run(look(0xA1B2C3D4E5F60700))), NOTHING)
    assert (found.distinct, found.random_bytes, found.fixed) == (2, 7, ("NUL",))
    assert "2^56 guesses" in lines(found)[0] and "a string copy cannot" in lines(found)[1]


def test_a_canary_that_never_changes_is_known_for_ever() -> None:
    assert "knows it for ever" in words(run(look(0x000AFF0D)), run(look(0x000AFF0D)))


def test_a_canary_without_a_terminator_is_said() -> None:
    assert "none: a string copy can write" in words(run(look(0x1122334455667788)), run(look(0xA1B2C3D4E5F60718)))


def test_one_look_compares_nothing() -> None:
    assert "not known: 1 of 2 runs" in words(run(look(5)), run())


def test_children_of_fork_are_told_from_those_that_were_started_anew() -> None:
    forked = run(look(7, pid=9, parent_pid=100), look(7, pid=100))
    started = run(look(8, pid=9, parent_pid=100), look(7, pid=100))
    assert "children with their parent's canary: 2 of 2; a server" in words(forked, forked)
    assert "children with their parent's canary: 0 of 2; each was started by execve" in words(started, started)
    assert strength((forked,), NOTHING).fork.inherited == 1 and strength((started,), NOTHING).fork.inherited == 0


def test_threads_share() -> None:
    assert "further threads with the canary of the first: 1 of 1;" in words(run(look(7), look(7, tid=101)))


def test_a_leak_names_the_place() -> None:
    frame = Frame(module="/p", offset=1, function="tell", file="/src/server.c", line=33, own=True)
    leak = Leak(pid=1, syscall="write", descriptor=1, offset=17, stack=(frame,))
    assert "write on descriptor 1, 17 bytes in, from tell (server.c:33)" in words(((look(7),), (leak, leak)))


def test_an_instruction_that_reads_the_guard_is_told_from_its_number() -> None:
    assert checks_canary(bytes.fromhex("64488b042528000000"))  # mov %fs:0x28, %rax
    assert checks_canary(bytes.fromhex("90" * 9 + "64482b142528000000"))  # sub %fs:0x28, %rdx
    assert not checks_canary(bytes.fromhex("488b042528000000"))  # the same without the segment
    assert not checks_canary(b"")
