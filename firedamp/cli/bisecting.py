"""Builds and replays of earlier revisions for the command `bisect`, in a folder that goes when it is over."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from firedamp import engine, reproducer_file
from firedamp.bisect import EndsAlike, Line, find_old_end, search
from firedamp.cli.session import Compilation, Session, say
from firedamp.confirm import confirm
from firedamp.errors import BuildError, UsageError
from firedamp.finding import Detection, family
from firedamp.plural import counted
from firedamp.repository import Commit, Repository
from firedamp.reproducer import Reproducer
from firedamp.reproducer_file import Claim
from firedamp.target import Build, Target, TargetKind


class Presence(StrEnum):
    PRESENT = "present"
    ABSENT = "absent"
    SKIPPED = "skipped"  # it cannot be told: it does not build, or came back but now and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What one revision showed: it came back in `came_back` of `runs`; `why` it was skipped."""

    commit: Commit
    state: Presence
    came_back: int = 0
    runs: int = 0
    why: str = ""

    @property
    def words(self) -> str:
        shown = self.why if self.state is Presence.SKIPPED else f"{self.came_back} of {self.runs}"
        return f"{self.commit.short} {self.state} ({shown}): {self.commit.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`candidates`: the commit, or those among which skipped revisions leave the choice; empty: there is no change."""

    finding: str
    fixed: bool
    candidates: tuple[Commit, ...]
    tested: tuple[Tested, ...]
    words: str


class _Stopped(Exception):
    """Ctrl-C: nothing that was seen after it counts."""


@dataclass(slots=True, kw_only=True)
class _Bisection:
    repository: Repository
    commits: tuple[Commit, ...]  # oldest first
    reproducer: Reproducer
    claim: Claim
    session: Session
    folder: Path
    fixed: bool
    times: int
    compilation: Compilation
    stopping: Callable[[], bool]
    tested: list[Tested] = field(default_factory=list)

    def ask(self, index: int) -> bool | None:
        """firedamp.bisect.Ask: is the revision in the state that the commit in question brought?"""
        tested = self._test(self.commits[index])
        if self.stopping():
            raise _Stopped
        self.tested.append(tested)
        say(tested.words)
        match tested.state:
            case Presence.PRESENT:
                return not self.fixed
            case Presence.ABSENT:
                return self.fixed
            case Presence.SKIPPED:
                return None

    def _test(self, commit: Commit) -> Tested:
        tree = self.folder / commit.short
        self.repository.write(commit, tree)
        target = moved(self.reproducer.target, self.repository.top, tree)
        if not target.root.is_dir():
            return Tested(commit=commit, state=Presence.SKIPPED, why=f"has no {target.root.relative_to(tree)}")
        try:
            build = self._build(target)
            reproducer = replace(self.reproducer, target=target)
            shown = confirm(engine.load(reproducer.engine), reproducer, build, times=self.times, stopping=self.stopping)
        except BuildError as error:
            return Tested(commit=commit, state=Presence.SKIPPED, why=f"does not build: {_first_line(error)}")
        except UsageError as error:  # its setup fails, or its program is not there yet
            return Tested(commit=commit, state=Presence.SKIPPED, why=f"cannot be run: {_first_line(error)}")
        alike = {name for name, each in shown.detections.items() if is_alike(self.claim, each)}
        count = min(shown.runs, sum(shown.seen[name] for name in alike))
        state = Presence.PRESENT if count else Presence.ABSENT
        return Tested(commit=commit, state=state, came_back=count, runs=shown.runs)

    def _build(self, target: Target) -> Build | None:
        if target.kind in (TargetKind.COMMAND, TargetKind.PYTHON):
            return None
        from firedamp.building.build import build

        return build(
            target,
            self.reproducer.profile,
            compiler=self.compilation.compiler,
            cache=self.folder / "builds",
            allow_unguarded=self.compilation.unguarded,
        )


def is_alike(claim: Claim, detection: Detection) -> bool:
    """The part of a signature that lasts while lines move: what happened, and in which function."""
    function = detection.frame.function if detection.frame is not None else None
    return family(detection.kind) == family(claim.kind) and claim.function in (None, function)


def moved(target: Target, top: Path, tree: Path) -> Target:
    """With the folders of the checkout `top` in `tree`. UsageError: the target does not lie in the repository."""

    def there(path: Path) -> Path:
        if not path.is_relative_to(top):
            raise UsageError(f"target {target.name}: {path} does not lie in the repository {top}")
        return tree / path.relative_to(top)

    return replace(
        target,
        root=there(target.root.resolve()),
        workdir=None if target.workdir is None else there(target.workdir.resolve()),
    )


def bisect(
    session: Session,
    finding: str,
    *,
    good: str | None,
    bad: str | None,
    fixed: bool,
    times: int,
    compilation: Compilation,
    stopping: Callable[[], bool],
) -> Answer:
    """UsageError: no such finding, no repository, no such revision."""
    path = _path(session, finding)
    reproducer, claim = reproducer_file.read(path), reproducer_file.read_claim(path)
    if claim is None:
        raise UsageError(f"{path}: does not say which finding it shows; name one that `firedamp findings` lists")
    repository = Repository.around(reproducer.target.root)
    moved(reproducer.target, repository.top, repository.top)
    older, newer = (bad, good) if fixed else (good, bad)
    newest = repository.commit(newer or "HEAD")
    commits = repository.line(newest, repository.commit(older) if older is not None else None)
    with tempfile.TemporaryDirectory(prefix="firedamp-bisect-") as folder:
        bisection = _Bisection(
            repository=repository,
            commits=commits,
            reproducer=reproducer,
            claim=claim,
            session=session,
            folder=Path(folder).resolve(),
            fixed=fixed,
            times=times,
            compilation=compilation,
            stopping=stopping,
        )
        try:
            candidates, words = _search(bisection, open_ended=older is None)
        except _Stopped:
            candidates, words = (), "interrupted"
    return Answer(finding=claim.id, fixed=fixed, candidates=candidates, tested=tuple(bisection.tested), words=words)


def _path(session: Session, finding: str) -> Path:
    if Path(finding).exists():
        return Path(finding)
    with session.store() as store:
        return Path(store.get(finding).reproducer)


def _search(bisection: _Bisection, *, open_ended: bool) -> tuple[tuple[Commit, ...], str]:
    """The commits that are left, and what to say of them."""
    commits, line = bisection.commits, Line(ask=bisection.ask)
    newest = len(commits) - 1
    try:
        old: int | None = 0
        if open_ended and line.state(newest) is True:
            old = find_old_end(line, newest)
            if old is None:
                return (), _since_ever(bisection)
        left = search(line, old or 0, newest)
    except EndsAlike as ends:
        return (), _wrong_end(bisection, ends)
    candidates = tuple(commits[index] for index in left)
    return candidates, _words(bisection, candidates)


def _since_ever(bisection: _Bisection) -> str:
    oldest = next((each for each in reversed(bisection.tested) if each.commit == bisection.commits[0]), None)
    if oldest is None or oldest.state is Presence.SKIPPED:
        return "no revision without it could be built: name one with --good, or the one that brought the harness"
    return f"it is there since the first commit, {oldest.commit.short}: nothing introduced it later"


def _wrong_end(bisection: _Bisection, ends: EndsAlike) -> str:
    tested = next(each for each in bisection.tested if each.commit == bisection.commits[ends.index])
    newer = ends.index == len(bisection.commits) - 1
    if tested.state is Presence.SKIPPED:
        return f"{tested.commit.short} {tested.why}; name another one with --good or --bad"
    came = f"came back {tested.came_back} of {tested.runs} at {tested.commit.short}"
    if bisection.fixed:
        return f"{came}, " + ("so it is not repaired there" if newer else "so there was nothing to repair")
    return f"{came}, " + ("so there is nothing to look for" if newer else "so it is no good commit")


def _words(bisection: _Bisection, candidates: tuple[Commit, ...]) -> str:
    claim = bisection.claim
    where = f" in {claim.function}" if claim.function else ""
    did = "repaired" if bisection.fixed else "introduced"
    counts = f"{counted(len(bisection.tested), 'revision')} tested, {_skipped(bisection)} skipped"
    lines = [f"{each.short} {each.date[:10]} {each.author}: {each.subject}" for each in candidates]
    if len(candidates) == 1:
        return f"{lines[0]}\nthis commit {did} {claim.kind}{where} ({counts})"
    return "\n".join([*lines, f"one of these {did} {claim.kind}{where}; the others could not be told ({counts})"])


def _skipped(bisection: _Bisection) -> int:
    return sum(each.state is Presence.SKIPPED for each in bisection.tested)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    telling = next((line for line in lines if "error:" in line), lines[0] if lines else "")
    return telling.strip()
