"""The policy language: systrace's rules, strace's expressions, and what firedamp adds.

parse(text) -> Policy; check(policy) refuses what cannot be done here; lint(policy) -> notes; unparse(policy) -> text.
This room knows nothing of processes: it never runs anything.
"""

from inject.policy.check import check, targets
from inject.policy.lint import lint
from inject.policy.model import Note, Policy
from inject.policy.parse import parse
from inject.policy.print import unparse, unparse_rule
from inject.policy.strace import parse_strace

__all__ = ["Note", "Policy", "check", "lint", "parse", "parse_strace", "targets", "unparse", "unparse_rule"]
