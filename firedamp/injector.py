"""What the roof asks of the engine of faults beside what every engine can do: one run under a policy, and a lesson."""

from dataclasses import dataclass
from typing import Literal, Protocol

from firedamp.outcome import Outcome
from firedamp.target import Target

Part = tuple[str, str]  # where a piece of policy came from, for messages, and its text
Mode = Literal["inject", "enforce"]  # what no rule decides is permitted; denied


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleRun:
    """`policy`: all parts as one text. `log`: systrace's lines, of permit log, deny log and of what enforce denied."""

    outcome: Outcome
    policy: str
    notes: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    denied: int = 0  # calls that no rule permitted
    slipped: int = (
        0  # calls whose names another thread changed while they were being checked: nobody knows what they did
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A policy grown by one run. `added`: rules that each of its runs added, the first one first."""

    outcome: Outcome
    policy: str
    added: tuple[int, ...]
    sufficiency: str  # what that says of the next run, for a person
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a person should know about a policy that is legal. `line` and `column` count from 1; 0: of the whole."""

    message: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A policy in the one way in which firedamp writes it, with what is worth knowing of it."""

    text: str
    remarks: tuple[Remark, ...] = ()


class Injector(Protocol):
    """Runs happen in place with the streams of this process, or in a private copy of target.root with the target's."""

    def run_once(self, target: Target, parts: tuple[Part, ...], *, in_place: bool, mode: Mode) -> SingleRun:
        """One run under all parts, the first match deciding."""

    def learn(self, target: Target, policy: Part, *, in_place: bool) -> Lesson:
        """One run that is permitted everything `policy` leaves open, and the policy with rules for that."""

    def examine(self, policy: Part) -> Examined:
        """PolicyError where it is none, or could not be carried out."""

    def translate(self, options: str) -> Examined:
        """strace's inject expression, or its options with several, as a policy."""
