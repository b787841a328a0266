"""POSIX extended regular expressions, regex(7), in the words of Python's own."""

import re
from typing import Final


def extended(pattern: str) -> str:
    """A POSIX extended regular expression in Python's words. ValueError when it is none, or is undefined there."""
    out: list[str] = []
    for token in re.findall(r"\\.|\[\^?\]?(?:\[[:.=][^]]*[:.=]\]|[^]])*\]|\(\?|[*+?}][*+?{]|.", pattern, re.S):
        if token == "\\":
            raise ValueError("it ends in a lone backslash")
        if token == "(?" or (len(token) == 2 and token[0] in "*+?}" and token[1] in "*+?{"):
            raise ValueError(f"{token} is not defined in a POSIX extended regular expression")
        if token == "[":
            raise ValueError("a [ has no ]")
        if token.startswith("\\"):
            out.append(re.escape(token[1]))
        elif token.startswith("["):
            out.append(_bracket(token))
        else:
            out.append(token)
    try:
        re.compile("".join(out))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return "".join(out)


CLASSES: Final = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "A-Za-z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
    "xdigit": "0-9A-Fa-f",
}


def _bracket(token: str) -> str:
    inverted, body = ("^", token[2:-1]) if token[1] == "^" else ("", token[1:-1])
    out: list[str] = []
    for part in re.findall(r"\[[:.=][^]]*[:.=]\]|.", body, re.S):
        if part.startswith("[:"):
            if part[2:-2] not in CLASSES:
                raise ValueError(f"{part} is no character class")
            out.append(CLASSES[part[2:-2]])
        elif len(part) > 1:
            raise ValueError(f"the collating element {part} is not carried out")
        else:
            out.append(part if part == "-" else re.escape(part))
    return f"[{inverted}{''.join(out)}]"
