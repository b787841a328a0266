"""systrace's log line, as far as Linux has the same facts: who did what, and which rule decided it."""

import os
import pwd
import time

from inject.decide.attributes import View
from inject.decide.lineage import parent_of


def line(view: View, word: str, *, policy: str, filters: int, why: str = "") -> str:
    """`filters`: the number of the rule that decided, 0 for none; `why`: what a person answered."""
    call = view.call
    return (
        f"{time.strftime('%b %d %H:%M:%S')} {word} user: {_user(call.pid)}, prog: {call.program()}, "
        f"pid: {call.pid}(0)[{parent_of(call.pid) or '?'}], policy: {policy}, filters: {filters}, "
        f"syscall: native-{view.name}({call.number}){_attribute(view)}{why}"
    )


def _attribute(view: View) -> str:
    """What the call is about, in the log's words."""
    if view.sockaddr is not None:
        return f", sockaddr: {view.sockaddr}"
    names = [name for index in range(2) if (name := view.filename(index)) is not None]
    if not names and (path := view.path()) is not None:
        names = [path]
    return "".join(f", filename{'' if index == 0 else '[1]'}: {name}" for index, name in enumerate(names))


def _user(pid: int) -> str:
    try:
        number = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - the effective user (proc(5))
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
    except OSError:
        return "?"
