"""firedamp inject [-e RULE]... [--policy FILE] -- CMD ..."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Session
    from firedamp.finding import Detection, Finding
    from firedamp.outcome import Outcome, Strike
    from firedamp.reproducer import Reproducer
    from firedamp.target import Target

Part = tuple[str, str]  # where a piece of policy came from, for messages, and its text


class Injector(Protocol):
    """What `inject` asks of the engine of faults beside what every engine can do."""

    def run_once(
        self, target: "Target", parts: tuple[Part, ...], *, in_place: bool
    ) -> "tuple[Outcome, str, tuple[str, ...]]":
        """One run under all parts, the first match deciding: outcome, the whole policy as one text, and notes.

        In place with the streams of this process; else in a private copy of target.root with the target's streams.
        """


@click.command(name="inject", cls=options.Dashed, context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("-e", "rules", multiple=True, metavar="RULE", help="A rule, in strace's words or systrace's; repeatable.")
@click.option("--policy", "policies", multiple=True, type=options.FILE, metavar="FILE", help="A policy file.")
@click.option(
    "--exit-status",
    type=click.Choice(["findings", "program"]),
    default="findings",
    show_default=True,
    help="What firedamp exits with: 0 or 1 by what was found, or the program's own status (128 + N for signal N).",
)
@options.streams
@options.limits
@options.json_output
@options.common(runs=True)
def command(
    words: tuple[str, ...],
    rules: tuple[str, ...],
    policies: tuple[Path, ...],
    exit_status: str,
    workdir: Path | None,
    setup: str | None,
    stdin: str | None,
    stdout: str | None,
    stderr: str | None,
    timeout: float | None,
    memory: int | None,
    as_json: bool,
    results: Path | None,
    seed: int | None,
    workers: int | None,
) -> int:
    """Run a command once under faults, here and with your own streams; with --workdir in a private copy of a folder.

    \b
    firedamp inject -e inject=write:error=ENOSPC:when=1 -- cp a b
    firedamp inject -e 'openat: filename eq "/etc/hosts" then deny[eio]' -- getent hosts localhost
    firedamp inject --policy no-space.policy -- make
    """
    from typing import cast

    from firedamp import engine
    from firedamp.cli.redirection import redirected
    from firedamp.cli.results import CLEAN, FOUND, write_json
    from firedamp.cli.session import UNLIMITED, Session, bounded, command_target, say
    from firedamp.confirm import serious
    from firedamp.report.ending import status_of, words_of
    from firedamp.reproducer import Reproducer
    from firedamp.target import Profile

    dashed = options.after_dashes() or ()
    target = command_target(
        (*words, *dashed),
        workdir=workdir,
        setup=setup,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        timeout=timeout,
        memory=memory,
    )
    if setup is not None and workdir is None:
        raise click.UsageError("--setup runs in a private folder: give --workdir, or prepare the folder yourself")
    parts = (*(("-e", rule) for rule in rules), *((str(path), _text(path)) for path in policies))
    if not parts:
        raise click.UsageError("no fault is planned: give -e RULE or --policy FILE")
    injector = cast(Injector, engine.load("inject"))
    unhurried = replace(target, limits=bounded(UNLIMITED, timeout, memory))
    private = workdir is not None  # then the names of streams lie in there, and the engine opens them
    with redirected(
        stdin=None if private else stdin,
        stdout=None if private else stdout,
        stderr=None if private else stderr,
        quiet=as_json,
    ):
        outcome, policy, notes = injector.run_once(unhurried, parts, in_place=not private)
    for note in notes:
        say(note)
    session = Session.open(results)
    reproducer = Reproducer(engine="inject", target=target, profile=Profile.PLAIN, payload=policy.encode())
    found = [_keep(session, reproducer, detection) for detection in serious(outcome, target.name).values()]
    say(f"{words_of(outcome.ending)}; {_strikes(outcome)}")
    if as_json:
        facts = {"ending": words_of(outcome.ending), "status": status_of(outcome.ending), "notes": list(notes)}
        write_json(session, found, **facts, strikes=[_strike(each) for each in outcome.strikes])
    else:
        _say_findings(session, found)
    if exit_status == "program":
        return status_of(outcome.ending)
    return FOUND if found else CLEAN


def _text(path: Path) -> str:
    from firedamp.errors import UsageError

    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; name a policy file") from None


def _keep(session: "Session", reproducer: "Reproducer", detection: "Detection") -> "Finding":
    from firedamp import reproducer_file

    name = detection.identity(reproducer.target.name)
    folder = session.results / reproducer.target.name / "findings" / name
    path = reproducer_file.write(reproducer, folder, detection=detection)
    with session.store() as store:
        return store.record(reproducer.target.name, "inject", detection, reproducer=path, confirmed=(1, 1))[0]


def _say_findings(session: "Session", found: "list[Finding]") -> None:
    """On stderr, for the program's output is on stdout."""
    from firedamp.cli.session import say
    from firedamp.report.text import headline, replay_line

    for each in found:
        say(headline(each, root=session.root))
        say(f"  see it again: {replay_line(each, session.results)}")


def _strikes(outcome: "Outcome") -> str:
    from collections import Counter

    if not outcome.strikes:
        return "no fault took place"
    counted = Counter(f"{each.syscall} {_fault(each.errno, each.effect)}" for each in outcome.strikes)
    return ", ".join(f"{words} ({count} times)" if count > 1 else words for words, count in counted.items())


def _fault(number: int | None, effect: str) -> str:
    import errno

    return errno.errorcode.get(number, str(number)) if number is not None else effect


def _strike(strike: "Strike") -> dict[str, object]:
    return {
        "rule": strike.rule,
        "syscall": strike.syscall,
        "fault": _fault(strike.errno, strike.effect),
        "effect": strike.effect,
        "pid": strike.pid,
        "path": strike.path,
        "nth": strike.nth,
        "took": strike.took,
    }
