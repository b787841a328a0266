"""A crash of the C library's own making: a call into it that could not have what it needed, and did not come back.

Whose fault that is, the stacks tell: the fault struck in a call of the program's, and the program died in the very same
one. So nothing was handed to the program that it could have looked at. It is listed, but is no finding about it.
"""

from firedamp.outcome import Frame, Outcome


def is_the_runtimes(outcome: Outcome) -> bool:
    if not outcome.fatals:
        return False
    died_in = outer(outcome.fatals[-1].stack)
    return bool(died_in) and any(
        outer(strike.stack) == died_in and not _is_direct(strike.stack) for strike in outcome.strikes
    )


def outer(stack: tuple[Frame, ...]) -> tuple[tuple[str, int], ...]:
    """From the program's innermost frame outwards; empty where that is the innermost of all."""
    first = next((depth for depth, frame in enumerate(stack) if frame.own), None)
    return tuple((frame.module, frame.offset) for frame in stack[first:]) if first else ()


def _is_direct(stack: tuple[Frame, ...]) -> bool:
    """Is it the system call's own wrapper, or malloc itself, that the program called?"""
    return len(stack) < 2 or stack[1].own
