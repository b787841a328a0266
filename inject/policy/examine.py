"""A policy looked at before it is used: whether it can be carried out, how it reads, what is strange in it."""

from firedamp.injector import Examined, Part, Remark
from inject.policy.check import check
from inject.policy.lint import lint
from inject.policy.parse import parse
from inject.policy.print import unparse
from inject.policy.translate import translate


def examine(policy: Part) -> Examined:
    """PolicyError at the first mistake, and at the first part that cannot be carried out."""
    source, text = policy
    parsed = check(parse(text, source))
    remarks = (Remark(message=note.message, line=note.span.line, column=note.span.column) for note in lint(parsed))
    return Examined(text=unparse(parsed), remarks=tuple(remarks))


def translated(options: str) -> Examined:
    found = translate(options)
    return Examined(text=unparse(found.policy), remarks=tuple(Remark(message=note) for note in found.notes))
