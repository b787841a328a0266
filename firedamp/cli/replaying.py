"""Replays for the commands `replay` and `regress`: what came back, n of m, and whether it is what was expected."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from firedamp import engine, reproducer_file
from firedamp.cli.session import Compilation, Session
from firedamp.confirm import Confirmation, confirm
from firedamp.finding import Finding, State
from firedamp.records import NAME as DATABASE
from firedamp.reproducer import Payload, Reproducer
from firedamp.reproducer_file import Claim
from firedamp.target import Build, Profile, Target

VACUOUS = "no fault took place: none of its calls is made any more, so nothing was tried; sweep the program anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`findings` is what the replays showed, the expected one first; `came_back` is n of m for the expected one.

    `vacuous`: its policy never struck, so that nothing was tried.
    """

    words: str
    findings: tuple[Finding, ...]
    came_back: tuple[int, int]
    vacuous: bool = False


class Replayer:
    """Replays reproducers of this session; each target is built once."""

    def __init__(self, session: Session, compilation: Compilation, *, stopping: Callable[[], bool]) -> None:
        """Of `compilation` all but the profile, which a reproducer names."""
        self._session = session
        self._compilation = compilation
        self._stopping = stopping
        self.remember = False  # whether the database learns what a replay showed of its finding
        self._builds: dict[tuple[Target, Profile], Build | None] = {}

    def replay(self, path: Path, *, times: int) -> Verdict:
        """A reproducer on disk, against what its facts claim."""
        return self.check(reproducer_file.read(path), reproducer_file.read_claim(path), path, times=times)

    def check(self, reproducer: Reproducer, claim: Claim | None, path: Path, *, times: int) -> Verdict:
        confirmation = self.confirm(reproducer, times=times)
        vacuous = reproducer.kind is Payload.POLICY and not any(each.strikes for each in confirmation.outcomes)
        if self.remember and claim is not None and not vacuous:
            self._record(claim, confirmation.of(claim.id))
        order = sorted(confirmation.detections, key=lambda name: (claim is None or name != claim.id, name))
        findings = tuple(self.finding(reproducer, confirmation, name, path) for name in order)
        expected = claim.id if claim is not None else (order[0] if order else "")
        words = _words(claim, confirmation, findings)
        return Verdict(
            words=f"{words}; {VACUOUS}" if vacuous else words,
            findings=findings,
            came_back=confirmation.of(expected),
            vacuous=vacuous,
        )

    def confirm(self, reproducer: Reproducer, *, times: int) -> Confirmation:
        loaded = engine.load(reproducer.engine)
        return confirm(loaded, reproducer, self.build(reproducer), times=times, stopping=self._stopping)

    def build(self, reproducer: Reproducer) -> Build | None:
        key = reproducer.target, reproducer.profile
        if key not in self._builds:
            self._builds[key] = self._session.build(
                reproducer.target, replace(self._compilation, profile=reproducer.profile)
            )
        return self._builds[key]

    def finding(self, reproducer: Reproducer, confirmation: Confirmation, name: str, path: Path) -> Finding:
        """As the database knows it, else as it was seen just now."""
        known = self._known(name)
        if known is not None:
            return known
        n, m = confirmation.of(name)
        return Finding(
            id=name,
            target=reproducer.target.name,
            engine=reproducer.engine,
            detection=confirmation.detections[name],
            count=n,
            confirmed=(n, m),
            state=State.NEW,
            reproducer=str(path.absolute()),
            first_seen="",
        )

    def _known(self, name: str) -> Finding | None:
        if not (self._session.results / DATABASE).exists():
            return None
        with self._session.store() as store:
            return store.find(name)

    def _record(self, claim: Claim, came_back: tuple[int, int]) -> None:
        known = self._known(claim.id)
        if known is None:
            return
        with self._session.store() as store:
            if came_back[0]:
                store.confirm(claim.id, *came_back)
            elif known.state in (State.NEW, State.KNOWN):
                store.set_state(claim.id, State.FIXED)


def _words(claim: Claim | None, confirmation: Confirmation, findings: tuple[Finding, ...]) -> str:
    runs = confirmation.runs
    others = [
        f"{each.detection.kind} ({confirmation.seen[each.id]} of {runs}, {each.id})"
        for each in findings
        if claim is None or each.id != claim.id
    ]
    if claim is None:
        return f"shows {', '.join(others)}" if others else f"nothing came back, 0 of {runs}"
    n, _ = confirmation.of(claim.id)
    where = f" in {claim.function}" if claim.function else ""
    first = f"{claim.kind}{where} {'came back' if n else 'did not come back'}, {n} of {runs}"
    return f"{first}; another finding came: {', '.join(others)}" if others else first
