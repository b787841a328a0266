"""firedamp oss-fuzz PROJECT --src SRC"""

from pathlib import Path

import click

from firedamp.cli import options

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(name="oss-fuzz", cls=options.Sectioned)
@click.argument("project", type=FOLDER)
@click.option("--src", required=True, type=FOLDER, help="What the Dockerfile leaves in /src: the checkouts.")
@click.option("--into", type=FOLDER, help="The folder to make; by default the project's name, here.")
@click.option("--compiler", metavar="NAME", help="clang, gcc or zig.")
def command(project: Path, src: Path, into: Path | None, compiler: str | None) -> int:
    """Build PROJECT, a folder of OSS-Fuzz's `projects`, by its unchanged build.sh; each fuzzer becomes a target.

    \b
    git clone https://github.com/DaveGamble/cJSON src/cjson
    firedamp oss-fuzz oss-fuzz/projects/cjson --src src
    cd cjson && firedamp fuzz cjson_read_fuzzer --time 60s
    """
    import shutil

    from firedamp import oss_fuzz
    from firedamp.building.build import prepared_tree
    from firedamp.cli.results import write
    from firedamp.plural import counted
    from firedamp.target import Profile, Target, TargetKind

    into = (into or Path(project.absolute().name)).absolute()
    oss_fuzz.lay_out(project, src, into)
    try:
        target = Target(name=into.name, kind=TargetKind.HARNESS, root=into, prepare=oss_fuzz.PREPARE)
        built = prepared_tree(target, Profile.HARDENED, compiler=compiler, cache=into / "results" / ".cache" / "builds")
        fuzzers = oss_fuzz.adopt(into, built)
    except BaseException:
        shutil.rmtree(into)
        raise
    for fuzzer in fuzzers:
        write(f"{fuzzer.name}: {counted(fuzzer.seeds, 'seed')}")
    write(f"cd {into} && firedamp fuzz {fuzzers[0].name} --time 60s")
    return 0
