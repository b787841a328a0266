"""malloc's own consistency checks. They speak late: the place is where damage was noticed, not where it was done."""

import re

from firedamp.finding import Detection, Severity
from firedamp.guards.assertion import parse_assertion
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import innermost_own, where
from firedamp.outcome import Fatal, Outcome

# malloc/malloc.c and malloc/arena.c of glibc: every string given to malloc_printerr
MESSAGE = re.compile(
    r"(malloc|free|realloc|calloc|memalign|munmap_chunk|mremap_chunk|malloc_consolidate|tcache_thread_shutdown"
    r"|int_mallinfo|__malloc_info|aligned_alloc|malloc_check_get_size|top_check)\(\): "
    r"|double free or corruption|corrupted (size vs\. prev_size|double-linked list)|invalid fastbin entry"
    r"|break adjusted to free malloc space|freesize < size"
)
ALLOCATOR_FILES = frozenset({"malloc.c", "arena.c", "hooks.c"})
DOUBLE_FREE = re.compile(r"double free")
NOT_FROM_MALLOC = re.compile(r"(free|realloc|munmap_chunk|mremap_chunk)\(\): invalid (old )?pointer")


def heap_complaint(fatal: Fatal) -> str | None:
    message = (fatal.abort_message or "").strip()
    if MESSAGE.match(message):
        return message
    assertion = parse_assertion(message)  # sysmalloc and _int_free use assert as well
    return message if assertion is not None and assertion.file in ALLOCATOR_FILES else None


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    complaint = heap_complaint(fatal) if fatal is not None else None
    if fatal is None or complaint is None:
        return ()
    return detect(
        fatal,
        guard=GUARD.name,
        kind="heap-corruption",
        cwe=_cwe(complaint),
        severity=Severity.CRITICAL,
        message=f"malloc noticed in {where(innermost_own(fatal.stack))}: {complaint}",
    )


def _cwe(complaint: str) -> int:
    if DOUBLE_FREE.search(complaint):
        return 415
    return 590 if NOT_FROM_MALLOC.match(complaint) else 122


GUARD = Guard(name="heap", needs=frozenset({Armed.SIGNALS}), judge=judge)
