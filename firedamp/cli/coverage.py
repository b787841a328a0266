"""firedamp coverage TARGET [PATH...]"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="coverage", cls=options.Sectioned)
@click.argument("name", metavar="TARGET")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--html", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Write pages there.")
@click.option("--compiler", metavar="CC", help="clang, gcc, zig, or a command [default: the first found].")
@options.json_output
@options.common()
def command(
    name: str,
    paths: tuple[Path, ...],
    html: Path | None,
    compiler: str | None,
    as_json: bool,
    results: Path | None,
) -> int:
    """Show which lines and functions of TARGET's source its corpus and seeds reach, or the inputs in PATH.

    \b
    firedamp coverage png
    firedamp coverage png --html coverage
    firedamp coverage png crash-1 afl-out/
    """
    import json

    from firedamp import exchange
    from firedamp.cli.results import write
    from firedamp.cli.session import Compilation, Session, say
    from firedamp.coverage.measure import measure
    from firedamp.errors import UsageError
    from firedamp.plural import counted
    from firedamp.report import coverage
    from firedamp.report.document import SCHEMA
    from firedamp.target import Profile

    session = Session.open(results)
    target = session.target(name)
    build = session.build(target, Compilation(profile=Profile.COVERAGE, compiler=compiler))
    if build is None:
        raise UsageError(f"target {name!r}: is not compiled by firedamp, so nothing in it counts what is reached")
    places = paths or _kept(session.results / name, target.root / target.seeds if target.seeds else None)
    if not places:
        raise UsageError(
            f"target {name!r}: has neither seeds nor a corpus yet; run `firedamp fuzz {name}`, or name files"
        )
    inputs = {exchange.digest(data): data for place in places for data in exchange.contents(place)}
    say(f"running {counted(len(inputs), 'input')}")
    measured = measure(build, inputs.values())
    root = target.root.resolve()
    if html is not None:
        say(f"pages: {coverage.write_pages(measured, name, root, html)}")
    if as_json:
        facts = {"schema": SCHEMA, "target": name, "compiler": build.compiler}
        write(json.dumps(facts | coverage.document(measured, root), indent=2))
    else:
        write("\n".join((f"{name}: {build.compiler}", *coverage.text(measured, root))))
    return 0


def _kept(results: Path, seeds: Path | None) -> tuple[Path, ...]:
    """The living corpus, what was laid aside from it, and the seeds."""
    folders = (results / "corpus", results / "spare", results / "quarantine", seeds)
    return tuple(path for path in folders if path is not None and path.exists())
