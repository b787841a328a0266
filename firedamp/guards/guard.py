"""What a guard is: what must be armed and collected for it, and a pure judgement of one outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from firedamp.finding import Detection
from firedamp.outcome import Outcome
from firedamp.target import Proof


class Armed(StrEnum):
    """What has to be in the binary, or watched in the run, before a guard could say anything."""

    CANARY = "canary"  # the compiler's stack protector
    FORTIFY = "fortify"  # __*_chk instead of the plain function
    FORMATS = "formats"  # the printf family is called through our runtime
    SANITIZER = "sanitizer"
    SIGNALS = "signals"  # the tracer sees deadly signals as they are delivered
    EXIT = "exit"  # the stack of a normal exit is recorded
    CLOCK = "clock"
    MEMORY = "memory"
    FAULTS = "faults"  # system calls were made to fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """`judge` is total: any bytes, any combination of fields gives a tuple, empty when there is nothing to say."""

    name: str
    needs: frozenset[Armed]
    judge: Callable[[Outcome], tuple[Detection, ...]]

    def armed(self, proof: Proof) -> bool:
        """Could this guard fire in a binary of which this was proved? What is watched from outside always can."""
        held = {
            Armed.CANARY: proof.canary,
            Armed.FORTIFY: bool(proof.fortified),
            Armed.FORMATS: proof.formats,
            Armed.SANITIZER: bool(proof.sanitizers),
        }
        return all(held.get(need, True) for need in self.needs)
