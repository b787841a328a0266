"""Does a filter hold for a call? Pure apart from what the View reads."""

import fnmatch
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import assert_never

from inject.decide.attributes import View
from inject.policy.ere import extended
from inject.policy.model import Always, And, Condition, Expr, Not, Operator, Or

BARE = (Operator.EQ, Operator.NEQ)
NEGATIVE = {Operator.NEQ: Operator.EQ, Operator.NSUB: Operator.SUB}


def holds(expr: Expr, view: View, macros: Mapping[str, str]) -> bool:
    """`macros`: $HOME, $USER and $CWD with their values."""
    match expr:
        case Always():
            return True
        case Condition():
            return _test(expr, view, macros)
        case Not():
            return not holds(expr.term, view, macros)
        case And():
            return all(holds(term, view, macros) for term in expr.terms)
        case Or():
            return any(holds(term, view, macros) for term in expr.terms)
    assert_never(expr)


def _test(condition: Condition, view: View, macros: Mapping[str, str]) -> bool:
    values = view.values(condition.attribute, condition.index)
    named = condition.operator in BARE and condition.attribute in ("filename", "path")
    if named and "/" not in expand(condition.text, macros):
        values = tuple(value.rpartition("/")[2] for value in values)  # a bare name is meant in any folder
    if condition.operator in NEGATIVE:
        positive = NEGATIVE[condition.operator]
        return bool(values) and not any(compare(positive, condition.text, value, macros) for value in values)
    return any(compare(condition.operator, condition.text, value, macros) for value in values)


def compare(operator: Operator, text: str, value: str, macros: Mapping[str, str]) -> bool:
    """`text` is the policy's, `value` the call's."""
    match operator:
        case Operator.EQ | Operator.NEQ:
            same = value.lower() == expand(text, macros).lower()
            return same if operator is Operator.EQ else not same
        case Operator.SUB | Operator.NSUB:
            inside = expand(text, macros) in value
            return inside if operator is Operator.SUB else not inside
        case Operator.INPATH:
            return _above(value, expand(text, macros))
        case Operator.MATCH:
            escaped = {name: re.sub(r"([][*?\\])", r"\\\1", macro) for name, macro in macros.items()}
            return _match(expand(text, escaped), value)
        case Operator.RE:
            escaped = {name: re.sub(r"([][(){}.*+?^$|\\])", r"\\\1", macro) for name, macro in macros.items()}
            return _regex(expand(text, escaped)).search(value) is not None
    assert_never(operator)


def expand(text: str, macros: Mapping[str, str]) -> str:
    """$HOME, $USER and $CWD become their values; any other $ stays one."""
    if "$" not in text:
        return text
    return re.sub(r"\$(HOME|USER|CWD)\b", lambda found: macros.get(found[1], found[0]), text)


def _match(pattern: str, value: str) -> bool:
    """fnmatch(3); a pattern that does not begin with / holds in any folder, where systrace's could never hold."""
    compiled = glob(pattern)
    starts = [0] if pattern.startswith("/") else [0, *(found.end() for found in re.finditer("/", value))]
    return any(compiled.match(value, start) is not None for start in starts)


def _above(value: str, text: str) -> bool:
    """inpath: the call's name is the policy's text, or a folder above it."""
    return text == value or text.startswith(value.rstrip("/") + "/")


@lru_cache(maxsize=1024)
def _regex(text: str) -> re.Pattern[str]:
    return re.compile(extended(text), re.S)


@lru_cache(maxsize=1024)
def glob(pattern: str) -> re.Pattern[str]:
    """fnmatch(3) with FNM_PATHNAME | FNM_LEADING_DIR: * and ? stop at a slash; what lies beneath a match matches."""
    out: list[str] = []
    for token in re.findall(r"\\.|\[[!^]?\]?[^]/]*\]|.", pattern, re.S):
        if token == "*":
            out.append("[^/]*")
        elif token == "?":
            out.append("[^/]")
        elif token.startswith("[") and len(token) > 2:
            out.append("(?!/)" + fnmatch.translate(token.replace("[^", "[!", 1))[4:-3])
        else:
            out.append(re.escape(token[1:] if token.startswith("\\") and len(token) > 1 else token))
    return re.compile(f"(?:{''.join(out)})(?:/.*)?\\Z", re.S)
