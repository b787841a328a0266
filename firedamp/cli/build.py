"""firedamp build TARGET"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Compilation


@click.command(name="build", cls=options.Sectioned)
@click.argument("name", metavar="TARGET")
@options.building
@options.json_output
@options.common()
def command(
    name: str,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
) -> int:
    """Compile TARGET with its guards, and print what was proved of the binary.

    \b
    firedamp build parse
    firedamp build parse --profile asan --compiler gcc
    """
    import json
    from dataclasses import asdict

    from firedamp.building.proof import describe
    from firedamp.cli.results import write
    from firedamp.cli.session import Session
    from firedamp.report.document import SCHEMA

    session = Session.open(results)
    target = session.target(name)
    build = session.build(target, compilation)
    facts = {"schema": SCHEMA, "target": name, "built": build is not None}
    if build is None:
        what = "an installed command" if target.command else "a Python harness"
        write(json.dumps(facts) if as_json else f"{name}: nothing to compile: it is {what}")
        return 0
    if as_json:
        facts |= {"profile": compilation.profile, "compiler": build.compiler, "digest": build.digest}
        write(json.dumps(facts | {"executable": str(build.executable), "proof": asdict(build.proof)}, indent=2))
    else:
        write(f"{name}: {compilation.profile}, {build.compiler}\n{describe(build.proof)}\n{build.executable}")
    return 0
