"""Our own standard streams, lent to a program that inherits them: other files stand behind 0, 1 and 2 for a while."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firedamp.errors import UsageError

READ = os.O_RDONLY
WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@contextmanager
def redirected(*, stdin: str | None, stdout: str | None, stderr: str | None, quiet: bool) -> Iterator[None]:
    """`quiet`: what the program says on stdout goes to our stderr, for our own stdout is for JSON alone."""
    with ExitStack() as stack:
        stack.callback(sys.stderr.flush)
        if stdin is not None:
            _stand_in(stack, _open(stdin, READ), 0)
        if stdout is not None:
            _stand_in(stack, _open(stdout, WRITE), 1)
        elif quiet:
            _stand_in(stack, os.dup(2), 1)
        if stderr is not None:
            _stand_in(stack, _open(stderr, WRITE), 2)
        yield


def _open(name: str, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(f"{Path(name)}: cannot be opened: {error.strerror}; check the path") from None


def _stand_in(stack: ExitStack, descriptor: int, number: int) -> None:
    kept = os.dup(number)
    os.dup2(descriptor, number)
    os.close(descriptor)

    def put_back() -> None:
        os.dup2(kept, number)
        os.close(kept)

    stack.callback(put_back)
