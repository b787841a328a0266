"""malloc's own consistency checks. They speak late: the place is where damage was noticed, not where it was done."""

import re

from firedamp.finding import Detection, Severity
from firedamp.guards.assertion import parse_assertion
from firedamp.guards.fatal import HARDWARE, decisive_fatal, detect, raised_by_hardware
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, runtime_names, where
from firedamp.outcome import Fatal, Outcome

# malloc/malloc.c and malloc/arena.c of glibc: every string given to malloc_printerr
MESSAGE = re.compile(
    r"(malloc|free|realloc|calloc|memalign|munmap_chunk|mremap_chunk|malloc_consolidate|tcache_thread_shutdown"
    r"|int_mallinfo|__malloc_info|aligned_alloc|malloc_check_get_size|top_check)\(\): "
    r"|double free or corruption|corrupted (size vs\. prev_size|double-linked list)|invalid fastbin entry"
    r"|break adjusted to free malloc space|freesize < size"
)
ALLOCATOR_FILES = frozenset({"malloc.c", "arena.c", "hooks.c"})
# What the program calls, as libc exports it: names that are there without debug symbols.
ALLOCATOR = frozenset(
    {"malloc", "free", "cfree", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign", "valloc", "pvalloc"}
)
DOUBLE_FREE = re.compile(r"double free")
NOT_FROM_MALLOC = re.compile(r"(free|realloc|munmap_chunk|mremap_chunk)\(\): invalid (old )?pointer")


def heap_complaint(fatal: Fatal) -> str | None:
    message = (fatal.abort_message or "").strip()
    if MESSAGE.match(message):
        return message
    assertion = parse_assertion(message)  # sysmalloc and _int_free use assert as well
    return message if assertion is not None and assertion.file in ALLOCATOR_FILES else None


def dies_in_allocator(fatal: Fatal) -> bool:
    """The allocator itself fell over what the program had done to its blocks; by what the program called."""
    called = runtime_names(fatal.stack)[-1:]
    return fatal.signal in HARDWARE and raised_by_hardware(fatal) and not ALLOCATOR.isdisjoint(called)


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    complaint = heap_complaint(fatal) if fatal is not None else None
    if fatal is None or (complaint is None and not dies_in_allocator(fatal)):
        return ()
    noticed = innermost_own(fatal.stack)
    place = where(noticed) if noticed is not None else "no function of the program, after the input"
    complaint = complaint or f"{fatal.signal.name} inside {runtime_names(fatal.stack)[-1]}"
    return detect(
        fatal,
        guard=GUARD.name,
        kind="heap-corruption",
        cwe=_cwe(complaint),
        severity=Severity.CRITICAL,
        message=f"malloc noticed in {place}: {complaint}",
        at=(function_name(noticed),) if noticed is not None else (),  # which of its calls notices is chance
    )


def _cwe(complaint: str) -> int:
    if DOUBLE_FREE.search(complaint):
        return 415
    return 590 if NOT_FROM_MALLOC.match(complaint) else 122


GUARD = Guard(name="heap", needs=frozenset({Armed.SIGNALS}), judge=judge)
