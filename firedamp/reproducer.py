"""What it takes to see a finding again: a payload (input bytes, or a policy) and the facts in a TOML file beside it.

A reproducer is self-contained: replaying it needs no firedamp.toml, no database and no memory of the run that found it.
"""

from dataclasses import dataclass
from enum import StrEnum

from firedamp.target import Profile, Target


class Payload(StrEnum):
    INPUT = "input"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproducer:
    engine: str  # "fuzz" | "inject"
    target: Target
    profile: Profile = Profile.HARDENED
    payload: bytes  # the input itself, or the policy's text in UTF-8

    @property
    def kind(self) -> Payload:
        return Payload.POLICY if self.engine == "inject" else Payload.INPUT
