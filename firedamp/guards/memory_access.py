"""SIGSEGV that the hardware raised: through a null pointer, reading, writing or jumping where nothing may be."""

from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect, raised_by_hardware
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import innermost_own, where
from firedamp.guards.stack_smash import is_stack_smash
from firedamp.outcome import Access, Fatal, Outcome

NULL_PAGES_BYTES = 65536  # vm.mmap_min_addr of Debian and most others: nothing can be mapped below
SEGV_MAPERR, SEGV_ACCERR = 1, 2  # include/uapi/asm-generic/siginfo.h; other codes carry no address
FACTS = {
    "segv-null": (476, Severity.MEDIUM, "used a null pointer"),
    "segv-read": (125, Severity.HIGH, "read where nothing can be read"),
    "segv-write": (787, Severity.CRITICAL, "wrote where nothing can be written"),
    "segv-exec": (822, Severity.CRITICAL, "jumped to what is no code"),
}


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or not is_bad_access(fatal):
        return ()
    kind = access_kind(fatal)
    cwe, severity, says = FACTS[kind]
    address = f" (address 0x{fatal.address:x})" if _has_address(fatal) and fatal.address is not None else ""
    return detect(
        fatal,
        guard=GUARD.name,
        kind=kind,
        cwe=cwe,
        severity=severity,
        message=f"{where(innermost_own(fatal.stack))} {says}{address}",
    )


def is_bad_access(fatal: Fatal) -> bool:
    return (
        fatal.signal is Signals.SIGSEGV
        and raised_by_hardware(fatal)
        and not fatal.stack_exhausted
        and not is_stack_smash(fatal)
    )


def access_kind(fatal: Fatal) -> str:
    if _has_address(fatal) and fatal.address is not None and 0 <= fatal.address < NULL_PAGES_BYTES:
        return "segv-null"
    return f"segv-{(fatal.access or Access.READ).value}"


def _has_address(fatal: Fatal) -> bool:
    """A general protection fault (SI_KERNEL) has 0 there, and is no null pointer."""
    return fatal.code in (SEGV_MAPERR, SEGV_ACCERR)


GUARD = Guard(name="memory_access", needs=frozenset({Armed.SIGNALS}), judge=judge)
