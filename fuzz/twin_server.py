"""Child process (python -P -m fuzz.twin_server PLAN): becomes the sanitized build's server, confined and modest.

Whatever is decided about the program is decided before its execve; nothing is judged here.
"""

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from firedamp import jail
from fuzz import kernel

LAST = 19  # of nice(2): a fuzzing process beside it gets 98 % of a core that both want (sched(7), weights 1024 and 15)


def main() -> None:
    plan = json.loads(sys.argv[1])
    kernel.die_with(plan["parent_pid"])
    os.nice(LAST)
    with suppress(OSError):  # where sessions share the processor as such (sched(7), autogroup), nice counts within one
        Path("/proc/self/autogroup").write_text(str(LAST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (plan["output_bytes"], plan["output_bytes"]))
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # Python's own settings are not the target's
        signal.signal(number, signal.SIG_DFL)
    ruleset_fd = jail.ruleset((Path(plan["folder"]),))
    if ruleset_fd is not None:
        jail.restrict_self(ruleset_fd)
        os.close(ruleset_fd)
    os.chdir(plan["folder"])
    os.execv(plan["executable"], (plan["executable"], "--serve", str(plan["seconds"])))


if __name__ == "__main__":
    main()
