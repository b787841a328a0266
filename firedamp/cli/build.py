"""firedamp build TARGET"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="build", cls=options.Sectioned)
@click.argument("name", metavar="TARGET")
@options.building
@options.json_output
@options.common()
def command(
    name: str,
    compiler: str | None,
    profile: str,
    unguarded: bool,
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
    from firedamp.target import Profile

    session = Session.open(results)
    target = session.target(name)
    build = session.build(target, Profile(profile), compiler=compiler, unguarded=unguarded)
    facts = {"schema": SCHEMA, "target": name, "built": build is not None}
    if build is None:
        what = "an installed command" if target.command else "a Python harness"
        write(json.dumps(facts) if as_json else f"{name}: nothing to compile: it is {what}")
        return 0
    if as_json:
        facts |= {"profile": profile, "compiler": build.compiler, "digest": build.digest}
        write(json.dumps(facts | {"executable": str(build.executable), "proof": asdict(build.proof)}, indent=2))
    else:
        write(f"{name}: {profile}, {build.compiler}\n{describe(build.proof)}\n{build.executable}")
    return 0
