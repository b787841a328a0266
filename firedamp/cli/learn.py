"""firedamp learn [-o POLICY] -- CMD ..."""

from pathlib import Path
from typing import Any

import click

from firedamp.cli import options


@click.command(name="learn", cls=options.Dashed)
@click.option(
    "-o", "--output", type=options.FILE, metavar="POLICY", help="Written here; what it has already is kept and grows."
)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="How often the command is run.")
@options.execution(here=True)
@options.json_output
@options.common()
def command(
    output: Path | None,
    runs: int,
    as_json: bool,
    results: Path | None,
    **execution: Any,
) -> int:
    """Write a policy from what a command does, for `firedamp enforce`, and say how sufficient the learning is.

    Without -o the policy goes to stdout, and what the command says there to stderr.

    \b
    firedamp learn -- ls -l > ls.policy
    firedamp learn -o ls.policy --runs 3 -- ls -l /usr    # grows: names that are new, where they are new
    """
    import os

    from firedamp import reproducer_file
    from firedamp.cli import injecting
    from firedamp.cli.results import CLEAN, write
    from firedamp.cli.session import say
    from firedamp.errors import UsageError
    from firedamp.report.ending import words_of

    stage = injecting.Stage(options.after_dashes() or (), **execution)
    if output is not None and not os.access(output.absolute().parent, os.W_OK):
        raise UsageError(f"{output}: cannot be written: its folder must exist and be writable; name another -o")
    text = injecting.text_of(output) if output is not None and output.exists() else ""
    source = "<new policy>" if output is None else str(output)
    with stage.streams(quiet=output is None or as_json):
        for _ in range(runs):
            lesson = injecting.injector().learn(stage.unhurried, (source, text), in_place=stage.in_place)
            text = lesson.policy
            if output is not None:  # after each run: an interruption loses one
                reproducer_file.write_atomically(output.absolute(), text.encode("utf-8", "surrogateescape"))
    for note in lesson.notes:
        say(note)
    say(f"{words_of(lesson.outcome.ending)}; {lesson.sufficiency}")
    if as_json:
        write(injecting.lesson_document(lesson, output))
    elif output is None:
        write(text.removesuffix("\n"))
    return CLEAN
