"""firedamp regress"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Compilation


@click.command(name="regress", cls=options.Sectioned)
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@options.times(1)
@options.building
@options.json_output
@options.common()
def command(
    targets: tuple[str, ...],
    times: int,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
) -> int:
    """Replay the regression tests beneath corpora/, of all targets or of those named. Exit 1 when one comes back.

    \b
    firedamp regress
    firedamp regress parse -n 3
    """
    from firedamp import corpus
    from firedamp.cli import INTERRUPTED
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.replaying import Replayer, Verdict
    from firedamp.cli.results import CLEAN, FOUND, write, write_json
    from firedamp.cli.session import Session, say
    from firedamp.errors import UsageError

    session = Session.open(results)
    paths = [path for path in corpus.regressions(session.root) if not targets or path.parent.parent.name in targets]
    if not paths:
        named = f" of {', '.join(targets)}" if targets else ""
        say(f"there are no regressions{named} yet: `firedamp keep FINDING` makes one")
    verdicts: list[tuple[Path, Verdict]] = []
    code = CLEAN
    with Interruption() as interruption:
        replayer = Replayer(session, compilation, stopping=interruption.stopping)
        for path in paths:
            if interruption.stopping():
                break
            say(f"replaying {path.relative_to(session.root)}")
            try:
                verdict = replayer.replay(path, times=times)
            except UsageError as error:  # one that does not build any more must not hide the others
                say(f"{path.relative_to(session.root)}: cannot be replayed: {error}")
                code = error.exit_code
                continue
            verdicts.append((path, verdict))
            if not as_json:
                write(f"{path.relative_to(session.root)}: {verdict.words}")
    back = [verdict for _, verdict in verdicts if verdict.findings]
    if as_json:
        kept = [
            {"path": str(path), "words": each.words, "came_back": bool(each.findings), "vacuous": each.vacuous}
            for path, each in verdicts
        ]
        write_json(session, [each for verdict in back for each in verdict.findings], regressions=kept)
    if interruption.stopping():
        return INTERRUPTED
    return FOUND if back else code
