"""firedamp policy FILE | --from-strace EXPR"""

import sys
from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="policy")
@click.argument("file", required=False, type=options.FILE, metavar="FILE|-")
@click.option("--from-strace", "expression", metavar="EXPR", help="strace's inject=..., or options with -e and -P.")
@options.json_output
@options.common()
def command(
    file: Path | None,
    expression: str | None,
    as_json: bool,
    results: Path | None,
) -> int:
    """Check a policy and print it as firedamp writes it, with notes on what may surprise. Exit 2 where it is none.

    \b
    firedamp policy my.policy
    firedamp policy --from-strace 'inject=write:error=ENOSPC:when=3' > my.policy
    firedamp policy - < my.policy
    """
    import json
    from dataclasses import asdict

    from firedamp.cli.injecting import injector, text_of
    from firedamp.cli.results import write
    from firedamp.cli.session import say

    if (file is None) == (expression is None):
        raise click.UsageError("give a policy FILE (- for standard input), or --from-strace EXPR")
    if expression is not None:
        source, examined = "", injector().translate(expression)
    else:
        assert file is not None
        standard = str(file) == "-"
        source = "<stdin>" if standard else str(file)
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape") if standard else text_of(file)
        examined = injector().examine((source, text))
    if as_json:
        remarks = list(map(asdict, examined.remarks))
        write(json.dumps({"schema": 1, "policy": examined.text, "notes": remarks}, indent=2))
        return 0
    for each in examined.remarks:
        say(f"{source}:{each.line}:{each.column}: {each.message}" if each.line else f"note: {each.message}")
    write(examined.text.removesuffix("\n"))
    return 0
