"""firedamp replay FINDING | POLICY -- CMD ... | --target T INPUT..."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.replaying import Replayer
    from firedamp.cli.session import Compilation, Session
    from firedamp.reproducer import Reproducer
    from firedamp.reproducer_file import Claim


@click.command(name="replay", cls=options.Dashed)
@click.argument("words", metavar="FINDING | POLICY -- CMD... | INPUT...", nargs=-1, required=True)
@click.option("--target", "target_name", metavar="T", help="The words are inputs, or folders of them, for target T.")
@click.option("--check", metavar="SHELL", help="With POLICY -- CMD: decides whether the state is right.")
@options.times(3)
@options.execution(here=False)
@options.building
@options.json_output
@options.common()
def command(
    words: tuple[str, ...],
    target_name: str | None,
    times: int,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
    **execution: Any,
) -> int:
    """See a finding again, in fresh processes: did the same one come back, n of m? Exit 1 when it, or another, did.

    \b
    firedamp replay 3f9a                             # a finding, by the beginning of its id
    firedamp replay results/cp/findings/3f9a*/faults.policy
    firedamp replay no-space.policy -- cp a b        # a policy of your own
    firedamp replay --target parse crashes/          # sorts any fuzzer's crash files by signature
    """
    from firedamp.cli import INTERRUPTED
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.replaying import Replayer
    from firedamp.cli.session import Session, command_target
    from firedamp.cli.sorting import sort_inputs

    session = Session.open(results)
    dashed = options.after_dashes()
    with Interruption() as interruption:
        replayer = Replayer(session, compilation, stopping=interruption.stopping)
        if target_name is not None:
            code = sort_inputs(session, replayer, target_name, compilation.profile, words, times=times, as_json=as_json)
        else:
            if len(words) != 1:
                raise click.UsageError("one finding or one policy at a time; inputs need --target")
            if dashed is None:
                reproducer, claim, path = _kept(session, words[0])
            else:
                target = command_target(dashed, **execution)
                reproducer, claim, path = _policy(Path(words[0]), target)
            replayer.remember = dashed is None
            code = _replay(session, replayer, reproducer, claim, path, times=times, as_json=as_json)
    return INTERRUPTED if interruption.stopping() else code


def _kept(session: "Session", word: str) -> "tuple[Reproducer, Claim | None, Path]":
    """A finding's id, or the path of a reproducer."""
    from firedamp import reproducer_file
    from firedamp.errors import UsageError

    path = Path(word)
    if not path.exists():
        if "/" in word:
            raise UsageError(f"{word}: there is no such file")
        with session.store() as store:
            path = Path(store.get(word).reproducer)
    return reproducer_file.read(path), reproducer_file.read_claim(path), path


def _policy(path: Path, target: "object") -> "tuple[Reproducer, Claim | None, Path]":
    """A policy on a command; where the file is one of ours, its facts say what it should show."""
    from firedamp import reproducer_file
    from firedamp.cli.injecting import injector
    from firedamp.errors import UsageError
    from firedamp.reproducer import Reproducer
    from firedamp.target import Profile, Target

    assert isinstance(target, Target)
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; name a policy file before the --") from None
    injector().examine((str(path), payload.decode("utf-8", "surrogateescape")))  # its mistakes bear the file's name
    claim = None
    if reproducer_file.has_facts(path):
        claim = reproducer_file.read_claim(path)
        target = replace(target, name=reproducer_file.read(path).target.name)
    reproducer = Reproducer(engine="inject", target=target, profile=Profile.PLAIN, payload=payload)
    return reproducer, claim, path


def _replay(
    session: "Session",
    replayer: "Replayer",
    reproducer: "Reproducer",
    claim: "Claim | None",
    path: Path,
    *,
    times: int,
    as_json: bool,
) -> int:
    from firedamp.cli.results import CLEAN, FOUND, write, write_json

    verdict = replayer.check(reproducer, claim, path, times=times)
    if as_json:
        n, m = verdict.came_back
        write_json(session, verdict.findings, came_back=n, runs=m, vacuous=verdict.vacuous, words=verdict.words)
    else:
        write(verdict.words)
    return FOUND if verdict.findings else CLEAN
