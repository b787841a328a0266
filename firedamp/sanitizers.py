"""The contract between a build with AddressSanitizer or UBSan and us: options, exit status, and the report as a value.

The report goes to a file of ours (`log_path`), never to the program's stderr: what a program prints proves nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from firedamp.outcome import Exited, Frame, Outcome

EXIT_STATUS = 87  # of a run that a sanitizer ended; no shell, libc or test tool gives 87 a meaning
LOG_NAME = "sanitizer"  # the runtime appends ".PID" (sanitizer_common/sanitizer_file.cpp)
LOG_LIMIT_BYTES = 256 * 1024  # a report has some 10 KiB
FRAME = re.compile(r"^ *#\d+ 0x[0-9a-f]+ .*?\((/[^()]*|\[vdso\])\+0x([0-9a-f]+)\)", re.MULTILINE)
HANDLER = "__ubsan_handle_"
SENTENCE = re.compile(rb"^.*: runtime error: .*$", re.MULTILINE)
FREED = re.compile(r"^freed by thread .*$", re.MULTILINE)  # asan_descriptions.cpp of compiler-rt
STACK_END = re.compile(r"\n\s*\n")


def environment(log: Path) -> dict[str, str]:
    """Deadly signals stay the program's own: the tracer sees more of them than a report would tell."""
    shared = f"exitcode={EXIT_STATUS}:log_path={log}:symbolize=0:print_summary=0:color=never"
    signals = "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:use_sigaltstack=0"
    return {
        # LeakSanitizer cannot stop a process that is traced already
        "ASAN_OPTIONS": f"{shared}:{signals}:abort_on_error=0:halt_on_error=1:detect_leaks=0"
        ":allocator_may_return_null=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": f"{shared}:{signals}:print_stacktrace=1:halt_on_error=1",
    }


def read_report(folder: Path) -> str:
    """The first report that a process of the run left in `folder`; empty when there is none."""
    for path in sorted(folder.glob(f"{LOG_NAME}.*"), key=lambda path: path.stat().st_mtime_ns):
        with path.open("rb") as log:
            text = log.read(LOG_LIMIT_BYTES).decode("utf-8", "replace")
        if text.strip():
            return text
    return ""


def read_handler(outcome: Outcome) -> tuple[str, tuple[Frame, ...]] | None:
    """What a handler of UBSan said last, and the stack it was called from, where it ended the process itself.

    GCC's two runtimes share the symbol that sets the log file: libubsan writes to stderr whatever it was told. Its
    handler on the stack of the exit is the proof that the last sentence is not the program's own.
    """
    names = [frame.function or "" for frame in outcome.exit_stack]
    handlers = [index for index, name in enumerate(names) if name.startswith(HANDLER)]
    sentences = SENTENCE.findall(outcome.stderr)
    if outcome.ending != Exited(status=EXIT_STATUS) or not handlers or not sentences:
        return None
    return sentences[-1].decode("utf-8", "replace"), outcome.exit_stack[handlers[-1] + 1 :]


def report_stack(report: str) -> tuple[Frame, ...]:
    """The first stack of a report, innermost first, as module and offset: where the bad access was."""
    return tuple(_frames(report))


def freed_stack(report: str) -> tuple[Frame, ...]:
    """Where the memory of a bad access had been freed; empty where the report does not say."""
    freed = FREED.search(report)
    return () if freed is None else tuple(_frames(report, freed.end()))


def _frames(report: str, begin: int = 0) -> Iterator[Frame]:
    first = FRAME.search(report, begin)
    if first is None:
        return
    end = STACK_END.search(report, first.start())
    for frame in FRAME.finditer(report, first.start(), end.start() if end else len(report)):
        yield Frame(module=frame.group(1), offset=int(frame.group(2), 16))
