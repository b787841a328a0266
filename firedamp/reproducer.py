"""What it takes to see a finding again: a payload (an input, several, or a policy) and the facts beside it in TOML.

A reproducer is self-contained: replaying it needs no firedamp.toml, no database and no memory of the run that found it.
"""

from dataclasses import dataclass
from enum import StrEnum

from firedamp.target import Profile, Target


class Payload(StrEnum):
    INPUT = "input"
    POLICY = "policy"
    SEQUENCE = "sequence"  # of inputs, for one process (firedamp.sequence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproducer:
    engine: str  # "fuzz" | "inject"
    target: Target
    profile: Profile = Profile.HARDENED
    payload: bytes  # the input itself, or the text of the policy or the sequence
    sequence: bool = False

    @property
    def kind(self) -> Payload:
        if self.engine == "inject":
            return Payload.POLICY
        return Payload.SEQUENCE if self.sequence else Payload.INPUT
