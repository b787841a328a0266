"""firedamp keep FINDING"""

import re
from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="keep")
@click.argument("name", metavar="FINDING")
@click.option("--name", "file_name", metavar="NAME", help="Of the regression [default: from kind and function].")
@options.common()
def command(name: str, file_name: str | None, results: Path | None) -> int:
    """Turn a finding into a regression test: corpora/TARGET/regressions/NAME, and its facts in NAME.toml.

    \b
    firedamp keep 3f9a
    firedamp keep 3f9a --name long-name-smash
    """
    from firedamp import corpus, reproducer_file
    from firedamp.cli.results import write
    from firedamp.cli.session import Session
    from firedamp.errors import UsageError

    session = Session.open(results)
    with session.store() as store:
        finding = store.get(name)
    reproducer = reproducer_file.read(Path(finding.reproducer))
    frame = finding.detection.frame
    where = frame.function if frame is not None and frame.function else finding.id
    kept = corpus.check_name(file_name or re.sub(r"[^A-Za-z0-9._+-]+", "_", f"{finding.detection.kind}-{where}"))
    folder = corpus.regressions_folder(session.root, finding.target)
    for path in (folder / kept, folder / f"{kept}.toml"):
        if path.exists():
            raise UsageError(f"{path}: is there already, and is not overwritten; choose another --name")
    reproducer_file.write(reproducer, folder, name=kept, detection=finding.detection, portable=True)
    write(f"{folder / kept}\nput it under version control; `firedamp regress` replays it from now on")
    return 0
