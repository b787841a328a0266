"""firedamp corpus import | export | minimise TARGET"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Compilation, Session
    from firedamp.target import Target

PATHS = click.Path(path_type=Path)


@click.group(name="corpus")
def command() -> None:
    """The living corpus of a target: results/TARGET/corpus, one file per input, named by its SHA-1.

    libFuzzer, AFL++ and OSS-Fuzz read and write such folders unchanged. Your own seeds are never touched.

    \b
    firedamp corpus import png png_seed_corpus.zip afl-out/
    firedamp corpus export png corpus/
    firedamp corpus minimise png
    """


@command.command(name="import")
@click.argument("name", metavar="TARGET")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATHS)
@options.common()
def bring(name: str, paths: tuple[Path, ...], results: Path | None) -> int:
    """Add inputs: files, folders, *_seed_corpus.zip, or an AFL++ output folder (its queues).

    \b
    firedamp corpus import png png_seed_corpus.zip
    firedamp corpus import png afl-out/
    """
    from firedamp import exchange
    from firedamp.cli.results import write
    from firedamp.errors import UsageError
    from firedamp.plural import counted

    session, target = _target(name, results)
    done = exchange.bring_in(_living(session, target.name), paths)
    if not done.added + done.known + done.passed_over:
        raise UsageError(
            f"{', '.join(map(str, paths))}: no input is in there; name inputs, folders of them, or archives"
        )
    too_large = f", {done.passed_over} too large" if done.passed_over else ""
    write(
        f"{name}: {counted(done.added, 'input')} added, {done.known} known{too_large}: {_living(session, target.name)}"
    )
    return 0


@command.command(name="export")
@click.argument("name", metavar="TARGET")
@click.argument("destination", metavar="DIR|ZIP", type=PATHS)
@options.common()
def take(name: str, destination: Path, results: Path | None) -> int:
    """Write all different inputs, the seeds included, into a flat folder or an archive.

    \b
    firedamp corpus export png corpus/ && afl-fuzz -i corpus -o out ...
    firedamp corpus export png png_seed_corpus.zip
    """
    from firedamp import exchange
    from firedamp.cli.results import write
    from firedamp.errors import UsageError
    from firedamp.plural import counted

    session, target = _target(name, results)
    seeds = () if target.seeds is None else (target.root / target.seeds,)
    sources = [path for path in (_living(session, target.name), *seeds) if path.exists()]
    if not sources:
        raise UsageError(f"target {name!r}: has neither seeds nor a living corpus yet; run `firedamp fuzz {name}`")
    write(f"{name}: {counted(exchange.take_out(sources, destination), 'input')} in {destination}")
    return 0


@command.command(name="minimise")
@click.argument("name", metavar="TARGET")
@options.building
@options.json_output
@options.common()
def minimise(
    name: str,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
) -> int:
    """Keep the fewest inputs of the living corpus that reach all that it reaches.

    The others go to results/TARGET/spare, those that end the process to results/TARGET/quarantine. Nothing is deleted.

    \b
    firedamp corpus minimise png
    """
    import json

    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import write
    from firedamp.minimising import minimise
    from firedamp.report.document import SCHEMA

    session, target = _target(name, results)
    build = session.build(target, compilation)
    with Interruption() as interruption:
        done = minimise(target, build, session.results / target.name, stopping=interruption.stopping)
    if as_json:
        facts = {"kept": done.kept, "spare": done.spare, "quarantined": done.quarantined, "features": done.features}
        write(json.dumps({"schema": SCHEMA, "target": name, **facts, "interrupted": done.interrupted}))
    else:
        write(f"{name}: {done.words}")
    return 130 if done.interrupted else 0


def _target(name: str, results: Path | None) -> "tuple[Session, Target]":
    from firedamp.cli.session import Session

    session = Session.open(results)
    return session, session.target(name)


def _living(session: "Session", name: str) -> Path:
    return session.results / name / "corpus"
