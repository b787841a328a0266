"""assert(3) failed; libc keeps the sentence in __abort_msg, with the place in it."""

import re
from dataclasses import dataclass

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import caller_of, crash_place, label, runtime_names
from firedamp.outcome import Fatal, Frame, Outcome

CHECKS = frozenset({"__assert_fail", "__assert_fail_base", "__assert_perror_fail", "__assert"})
# assert/assert.c of glibc: "%s%s%s:%u: %s%sAssertion `%s' failed.\n"; the function is missing in C89
SENTENCE = re.compile(
    r"(?:[^\n:]*: )?(?P<file>[^\n:]+):(?P<line>\d+): (?:(?P<function>[^\n]*?): )?Assertion `(?P<text>.*)' failed\.\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    file: str
    line: int
    function: str | None
    text: str


def parse_assertion(message: str) -> Assertion | None:
    match = SENTENCE.fullmatch(message)
    if match is None:
        return None
    return Assertion(
        file=match["file"], line=int(match["line"]), function=match["function"] or None, text=match["text"]
    )


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None:
        return ()
    assertion = parse_assertion(fatal.abort_message or "")
    if assertion is None and CHECKS.isdisjoint(runtime_names(fatal.stack)):
        return ()
    frame = _located(caller_of(fatal.stack, CHECKS), assertion)
    says = f": {assertion.text}" if assertion else ""
    line = f" ({frame.file}:{frame.line})" if frame and frame.file else ""
    function = frame.function if frame and frame.function else "an unknown function"
    return detect(
        fatal,
        guard=GUARD.name,
        kind="assert",
        cwe=617,
        severity=Severity.MEDIUM,
        message=f"assertion in {function}(){line} failed{says}",
        frame=frame,
        at=_place(fatal, frame, assertion),
    )


def _located(frame: Frame | None, assertion: Assertion | None) -> Frame | None:
    """Where debug information is missing the sentence knows file, line and function."""
    if assertion is None or (frame is not None and frame.file is not None):
        return frame
    return Frame(
        module=frame.module if frame else "",
        offset=frame.offset if frame else 0,
        function=assertion.function or (frame.function if frame else None),
        function_offset=None,
        file=assertion.file,
        line=assertion.line,
        own=True,
    )


def _bare(signature: str) -> str:
    """clang writes the whole declaration: `int *find(const char *)`."""
    return signature.split("(")[0].split()[-1].lstrip("*") if signature.split("(")[0].strip() else signature


def _place(fatal: Fatal, frame: Frame | None, assertion: Assertion | None) -> tuple[str, ...]:
    """The sentence is as the source has it, where compilers inline the check or fold several into one."""
    if assertion is not None and assertion.function is not None:
        return (f"{_bare(assertion.function)}: {assertion.text}",)
    return crash_place(fatal.stack) or ((label(frame),) if frame is not None else ())


GUARD = Guard(name="assertion", needs=frozenset({Armed.SIGNALS}), judge=judge)
