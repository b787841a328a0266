"""A folder of any fuzzer's crash files, sorted by signature: one bug left 122 of them in 13 seconds."""

from dataclasses import dataclass, field
from pathlib import Path

from firedamp import corpus, reproducer_file
from firedamp.cli.replaying import Replayer
from firedamp.cli.results import CLEAN, FOUND, write, write_json
from firedamp.cli.session import Session, say
from firedamp.confirm import Confirmation
from firedamp.errors import UsageError
from firedamp.finding import Detection, Finding
from firedamp.plural import counted
from firedamp.reproducer import Reproducer
from firedamp.target import Profile, Target


@dataclass(slots=True, kw_only=True)
class _Pile:
    """The files with one signature; `smallest` stands for all."""

    detection: Detection
    smallest: Reproducer
    confirmed: tuple[int, int]
    files: list[str] = field(default_factory=list)

    def add(self, file: Path, reproducer: Reproducer, confirmed: tuple[int, int]) -> None:
        self.files.append(str(file))
        if len(reproducer.payload) < len(self.smallest.payload):
            self.smallest, self.confirmed = reproducer, confirmed


def sort_inputs(
    session: Session,
    replayer: Replayer,
    target_name: str,
    profile: Profile,
    words: tuple[str, ...],
    *,
    times: int,
    as_json: bool,
) -> int:
    """Replays each file, keeps one reproducer per signature, prints signature -> files. 1 when there is any."""
    target = session.target(target_name)
    files = [path for word in words for path in corpus.input_files(Path(word))]
    if not files:
        raise UsageError(f"{', '.join(words)}: no file is in there; name files, or folders of files")
    piles: dict[str, _Pile] = {}
    clean: list[str] = []
    for number, path in enumerate(files, 1):
        if number % 50 == 0:
            say(f"{number} of {counted(len(files), 'file')}, {counted(len(piles), 'signature')}")
        reproducer = Reproducer(engine="fuzz", target=target, profile=profile, payload=path.read_bytes())
        confirmation = replayer.confirm(reproducer, times=times)
        _lay(piles, path, reproducer, confirmation)
        if not confirmation.detections:
            clean.append(str(path))
    findings = [_keep(session, target, pile) for pile in piles.values()]
    if as_json:
        signatures = [{"id": name, "kind": pile.detection.kind, "files": pile.files} for name, pile in piles.items()]
        write_json(session, findings, signatures=signatures, clean=clean)
    else:
        write(_table(session, findings, piles, clean))
    return FOUND if findings else CLEAN


def _lay(piles: dict[str, _Pile], path: Path, reproducer: Reproducer, confirmation: Confirmation) -> None:
    for name, detection in confirmation.detections.items():
        confirmed = confirmation.of(name)
        if name not in piles:
            piles[name] = _Pile(detection=detection, smallest=reproducer, confirmed=confirmed)
        piles[name].add(path, reproducer, confirmed)


def _keep(session: Session, target: Target, pile: _Pile) -> Finding:
    """In the database, so that `show` and `keep` know it; a known finding keeps its own reproducer."""
    name = pile.detection.identity(target.name)
    with session.store() as store:
        known = store.find(name)
        if known is not None and Path(known.reproducer).is_file():
            return store.record(target.name, "fuzz", pile.detection, confirmed=pile.confirmed)[0]
        folder = session.results / target.name / "findings" / name
        path = reproducer_file.write(pile.smallest, folder, detection=pile.detection)
        return store.record(target.name, "fuzz", pile.detection, reproducer=path, confirmed=pile.confirmed)[0]


def _table(session: Session, findings: list[Finding], piles: dict[str, _Pile], clean: list[str]) -> str:
    from firedamp.report.text import headline

    lines: list[str] = []
    for finding in findings:
        files = piles[finding.id].files
        lines += [
            f"{headline(finding, root=session.root)}: {counted(len(files), 'file')}",
            *(f"    {each}" for each in files),
        ]
    if clean:
        lines += [f"nothing came back: {counted(len(clean), 'file')}", *(f"    {each}" for each in clean)]
    return "\n".join(lines)
