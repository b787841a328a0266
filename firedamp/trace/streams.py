"""The three streams of a program: files by name, ours, or captured."""

import errno
import os
from collections.abc import Mapping
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.trace.launch import Streams
from firedamp.trace.protocol import Execution


class Opened:
    """Descriptors for one run, closed at its end. `captured` reads back what has no file of its own."""

    def __init__(self, execution: Execution, descriptors: Mapping[int, int]) -> None:
        self._execution = execution
        self._owned: list[int] = []
        self._capturing: dict[int, int] = {}
        given: dict[int, int] = {}
        try:
            if not execution.inherit_streams:
                given = self._open()
            if descriptors:
                given = {target: self._above(source) for target, source in {**given, **descriptors}.items()}
        except BaseException:
            self.__exit__()
            raise
        self.streams = Streams(given=given)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._owned:
            os.close(descriptor)

    def captured(self, number: int, limit: int) -> bytes:
        """What the program wrote to stream `number`; empty when it went elsewhere."""
        descriptor = self._capturing.get(number)
        if descriptor is None:
            return b""
        return os.pread(descriptor, min(limit, os.fstat(descriptor).st_size), 0)

    def pipes(self) -> frozenset[str]:
        """The pipes ("pipe:[inode]") that the program was given: others may hold their ends."""
        names = (str(Path(f"/proc/self/fd/{number}").readlink()) for number in self.streams.given.values())
        return frozenset(name for name in names if name.startswith("pipe:"))

    def _keep(self, descriptor: int) -> int:
        self._owned.append(descriptor)
        return descriptor

    def _above(self, descriptor: int) -> int:
        """A copy beyond every number that dup2 will overwrite."""
        return self._keep(fcntl(descriptor, F_DUPFD_CLOEXEC, max((2, *self._execution.descriptors)) + 1))

    def _open(self) -> dict[int, int]:
        execution = self._execution
        given = {0: self._file(execution.stdin, os.O_RDONLY) if execution.stdin is not None else self._nothing()}
        files: dict[Path, int] = {}
        for number, path in ((1, execution.stdout), (2, execution.stderr)):
            if path is None:
                descriptor = self._capturing[number] = self._keep(os.memfd_create("captured"))
            elif path in files:
                descriptor = files[path]  # one description, as the shell's 2>&1
            else:
                descriptor = files[path] = self._file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            given[number] = descriptor
        return given

    def _nothing(self) -> int:
        return self._keep(os.open(os.devnull, os.O_RDONLY))

    def _file(self, path: Path, flags: int) -> int:
        name = self._execution.folder / path
        try:
            return self._keep(os.open(name, flags | os.O_NOCTTY, 0o666))
        except OSError as error:
            missing = "its folder must exist" if flags & os.O_CREAT else "the file must exist"
            remedy = missing if error.errno == errno.ENOENT else "name another file for this stream"
            raise UsageError(f"{name}: {error.strerror}; {remedy}") from error
