"""firedamp init"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="init")
@options.common()
def command(results: Path | None) -> int:
    """Write a starting firedamp.toml, corpora/ and a first seed into the C project of the current folder.

    Looks for a C file with LLVMFuzzerTestOneInput, else for one with a main. Nothing is ever overwritten.

    \b
    cd my-parser && firedamp init
    """
    from firedamp.cli.results import write
    from firedamp.cli.starting import start

    for line in start(Path.cwd()):
        write(line)
    return 0
