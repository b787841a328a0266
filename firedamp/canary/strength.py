"""StackGuard's own question: how would an attacker spoof the canary of this program? Pure: from what was seen.

Cowan et al. (1998) and its successors name the ways: a canary that never changes; bytes that stop a string copy, or do
not; one that all children of a server share, which is found byte by byte (Bittau et al., "Hacking Blind", 2014); one
that the program gives away; and functions that have none.
"""

from dataclasses import dataclass

from firedamp.canary.functions import Census
from firedamp.canary.watch import Leak, Sighting
from firedamp.outcome import Frame
from firedamp.plural import counted

BYTES = 8
TERMINATORS = {0x00: "NUL", 0x0A: "newline", 0x0D: "return", 0xFF: "EOF"}  # StackGuard's terminator canary
SHOWN = 12  # functions without a canary; all of them stand in the JSON
Run = tuple[tuple[Sighting, ...], tuple[Leak, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Children whose parent was seen, too."""

    children: int = 0
    inherited: int = 0  # of those, with their parent's canary: made by fork(2) and no execve(2) since


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    runs: int
    seen: int  # canaries of programs that the kernel started: one for each run with a look
    distinct: int  # of those
    random_bytes: int  # of the eight, those that differ between runs
    fixed: tuple[str, ...]  # the others, lowest address first, in words
    fork: Fork
    threads: int  # beyond the first of their process
    sharing: int  # of those, with the same canary
    leaks: tuple[Leak, ...] = ()
    census: Census


def strength(runs: tuple[Run, ...], census: Census) -> Strength:
    """What several runs of one program showed."""
    firsts = [sightings[0].canary for sightings, _ in map(_by_age, runs) if sightings]
    images = [canary.to_bytes(BYTES, "little") for canary in firsts]
    varying = [len({image[index] for image in images}) > 1 for index in range(BYTES)]
    forks, threads = [_forks(sightings) for sightings, _ in runs], [_threads(sightings) for sightings, _ in runs]
    return Strength(
        runs=len(runs),
        seen=len(firsts),
        distinct=len(set(firsts)),
        random_bytes=sum(varying),
        fixed=tuple(
            TERMINATORS.get(images[0][index], f"0x{images[0][index]:02x}")
            for index in range(BYTES)
            if images and not varying[index]
        ),
        fork=Fork(children=sum(each[0] for each in forks), inherited=sum(each[1] for each in forks)),
        threads=sum(each[0] for each in threads),
        sharing=sum(each[1] for each in threads),
        leaks=tuple(leak for _, leaks in runs for leak in leaks),
        census=census,
    )


def lines(found: Strength) -> tuple[str, ...]:
    """For a person: one answer for each way, and what could not be seen."""
    return (
        f"value      {_value_words(found)}",
        f"terminator {_terminator_words(found)}",
        f"fork       {_fork_words(found.fork)}",
        f"threads    {_thread_words(found)}",
        *(f"output     {line}" for line in _leak_words(found)),
        *(f"functions  {line}" for line in _function_words(found.census)),
    )


def _by_age(run: Run) -> Run:
    """The first process is the one that nobody seen has made."""
    pids = {sighting.pid for sighting in run[0]}
    return tuple(sorted(run[0], key=lambda each: (each.parent_pid in pids, each.tid != each.pid, each.pid))), run[1]


def _forks(sightings: tuple[Sighting, ...]) -> tuple[int, int]:
    canaries: dict[int, set[int]] = {}
    for each in sightings:
        canaries.setdefault(each.pid, set()).add(each.canary)
    children = {each.pid: each.parent_pid for each in sightings if each.parent_pid in canaries}
    return len(children), sum(bool(canaries[child] & canaries[parent]) for child, parent in children.items())


def _threads(sightings: tuple[Sighting, ...]) -> tuple[int, int]:
    leaders = {each.pid: each.canary for each in sightings if each.tid == each.pid}
    others = [each for each in sightings if each.tid != each.pid and each.pid in leaders]
    return len(others), sum(each.canary == leaders[each.pid] for each in others)


def _value_words(found: Strength) -> str:
    if found.seen < 2:
        return f"not known: {found.seen} of {counted(found.runs, 'run')} came to a look; two are needed to compare"
    if found.distinct == 1:
        return f"the same in all {found.seen} runs: who has seen one run knows it for ever"
    guesses = f"2^{8 * found.random_bytes}" if found.random_bytes else "1"
    vary = f"{counted(found.random_bytes, 'byte')} at random"
    return f"{found.distinct} different ones in {found.seen} runs, {vary}: {guesses} guesses"


def _terminator_words(found: Strength) -> str:
    if found.seen < 2:
        return "not known"
    stops = [word for word in dict.fromkeys(found.fixed) if word in TERMINATORS.values()]
    if not stops:
        return "none: a string copy can write the whole canary"
    return (
        f"{', '.join(stops)}: a string copy cannot write past it and put it back; memcpy, read and loops that know a "
        "length can"
    )


def _fork_words(fork: Fork) -> str:
    if not fork.children:
        return "no child process was seen"
    if not fork.inherited:
        return f"children with their parent's canary: 0 of {fork.children}; each was started by execve"
    return (
        f"children with their parent's canary: {fork.inherited} of {fork.children}; a server that forks for each "
        "connection, and lives on when a child dies, is guessed byte by byte, in at most 7 x 256 = 1,792 tries"
    )


def _thread_words(found: Strength) -> str:
    if not found.threads:
        return "no second thread was seen"
    return f"further threads with the canary of the first: {found.sharing} of {found.threads}; what one leaks is all's"


def _leak_words(found: Strength) -> tuple[str, ...]:
    if not found.leaks:
        return (f"the canary was in nothing that {found.runs} runs wrote",)
    places = {(leak.syscall, leak.descriptor, leak.offset, _where(leak.stack)) for leak in found.leaks}
    return tuple(
        f"the canary itself: {syscall} on descriptor {descriptor}, {offset} bytes in, from {where}"
        for syscall, descriptor, offset, where in sorted(places)[:SHOWN]
    )


def _where(stack: tuple[Frame, ...]) -> str:
    own = next((frame for frame in stack if frame.own), None)
    if own is None:
        return "an unknown place"
    place = f" ({own.file.rsplit('/', 1)[-1]}:{own.line})" if own.file is not None and own.line is not None else ""
    return f"{own.function or 'an unnamed function'}{place}"


def _function_words(census: Census) -> tuple[str, ...]:
    if not census.known:
        return ("which of them have arrays and no canary is not known: there is no debug information",)
    head = f"{census.guarded} check a canary; {census.arrays} have arrays, {len(census.unguarded)} of those no canary"
    shown = tuple(
        f"no canary: {each.name} ({each.file}:{each.line}), {each.buffer} of {each.buffer_bytes} bytes"
        for each in census.unguarded[:SHOWN]
    )
    more = len(census.unguarded) - SHOWN
    return (head, *shown, *((f"... and {more} more",) if more > 0 else ()))
