"""The sanitizer twin: what brought new coverage is run by the sanitized build, too, beside the search (SAND's idea).

A server process, ready with the target, is copied for each input; it runs at the lowest priority and rests between
inputs, so that it never takes more than SHARE of a core. Its deaths are told apart by the stack in their report; one
input of each place is looked at in a fresh process, like every other death. Judges nothing.
"""

import json
import math
import os
import queue
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from firedamp import guards, sanitizers
from firedamp.engine import Attempt
from firedamp.errors import FiredampError
from firedamp.reproducer import Reproducer
from firedamp.run import Bench, clean_environment
from firedamp.target import Build, Profile, Target, TargetKind
from fuzz import command

SHARE = 0.05  # of one core: less than a tenth of a search that has to share its core with others, too
IDLE_S = 0.5  # between looks at the folders: libFuzzer finds most in its first seconds, and then little
SLOWER = 4  # than the hardened build: AddressSanitizer takes twice the time, and this process the last of it
LATE_S = 5.0  # after the search, without rest: what is still unread
READY_S = 60.0  # a build that has to be compiled first, and a server at the lowest priority
WAITING_S = 60.0  # an input that needs no processor time either: it waits for somebody
CLOSE_S = 10.0  # a compiler at work is not waited for longer
PLACE_FRAMES = 3
ANSWER = struct.Struct("=iI")  # struct firedamp_answer of firedamp/runtime/serve.c
BuildTwin = Callable[[], Build | None]


class Twin:
    """Context manager. `folders` hold the inputs; nothing but their names and what they show crosses the thread."""

    def __init__(self, target: Target, build: BuildTwin, folders: tuple[Path, ...], private: Path) -> None:
        self._target = target
        self._make = build
        self._folders = folders
        self._private = private
        self._found: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._ready = threading.Event()  # the server has answered, or there is none
        self._idle = threading.Event()  # nothing is unread
        self._seen: set[str] = set()
        self._places: set[object] = set()
        self._build: Build | None = None
        self._bench: Bench | None = None
        self._stack = ExitStack()
        self.ran = self.deaths = 0
        self.used_s = 0.0  # of processor time
        self.failure = ""

    def __enter__(self) -> "Twin":
        self._private.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._hurry.set()
        self._thread.join(CLOSE_S)
        self._stack.close()

    def attempts(self) -> Iterator[Attempt]:
        """Inputs at new places of death, each run once more in a fresh process."""
        while not self._found.empty():
            data, build = self._found.get(), self._build
            assert build is not None
            if self._bench is None:
                self._bench = self._stack.enter_context(command.fresh(self._target, build))
            outcome = self._bench.run_input(data)
            if not guards.judge(outcome):
                continue  # it dies in its server's copies alone
            reproducer = Reproducer(engine="fuzz", target=self._target, profile=Profile.ASAN, payload=data)
            yield Attempt(reproducer=reproducer, outcome=outcome, build=build)

    def late(self) -> Iterator[Attempt]:
        """When the search is over and its processor free: what was not read yet, as far as LATE_S goes."""
        self._idle.clear()
        self._hurry.set()
        self._ready.wait(READY_S)
        self._idle.wait(LATE_S)
        yield from self.attempts()

    def words(self) -> str:
        """For a person: what it did, or why it did nothing."""
        if self.failure:
            return f"no sanitizer twin: {self.failure}"
        unread = sum(1 for _ in self._unread())
        run = f"inputs run: {self.ran}, in {self.used_s:.1f} s of processor time"
        left = f"; left unread: {unread}" if unread else ""
        return f"the sanitizer twin: {run}; deaths: {self.deaths}, at places: {len(self._places)}{left}"

    def _run(self) -> None:
        """In its own thread: an error there must not end the search."""
        try:
            if self._target.kind is not TargetKind.HARNESS:
                self.failure = "only a harness has one; replay your corpus with --profile asan"
                return
            self._build = self._make()
            if self._build is not None:
                self._follow(self._build)
        except FiredampError as error:
            self.failure = str(error).splitlines()[0]
        finally:
            self._ready.set()
            self._idle.set()

    def _follow(self, build: Build) -> None:
        with Server(build, self._private) as server:
            self._run_one(server, b"")  # what libFuzzer begins with, too
            self._ready.set()
            began = time.monotonic()
            while not self._stop.is_set():
                for path in self._unread():
                    self._one(server, path)
                    self.used_s = server.used_s + time.thread_time()
                    self._rest(self.used_s / SHARE - (time.monotonic() - began))
                    if self._stop.is_set():
                        return
                if self._hurry.is_set():
                    self._idle.set()
                self._stop.wait(IDLE_S)

    def _rest(self, rest_s: float) -> None:
        """Until work was no more than SHARE of the time; not when nobody else wants the processor any longer."""
        if rest_s > 0 and not self._stop.is_set():
            self._hurry.wait(rest_s)

    def _unread(self) -> Iterator[Path]:
        """libFuzzer writes a file in place: one that is still growing is read again by its real name later."""
        for folder in self._folders:
            for entry in os.scandir(folder):
                if entry.name not in self._seen and entry.is_file():
                    yield Path(entry.path)

    def _one(self, server: "Server", path: Path) -> None:
        self._seen.add(path.name)
        try:
            data = path.read_bytes()[: self._target.max_len]
        except OSError:
            return  # quarantined or shrunk meanwhile
        self._run_one(server, data)

    def _run_one(self, server: "Server", data: bytes) -> None:
        place = server.run(data)
        self.ran += 1
        if place is None:
            return
        self.deaths += 1
        if place not in self._places:
            self._places.add(place)
            self._found.put(data)


class Server:
    """Context manager over one server; it is started again where an input took it along."""

    def __init__(self, build: Build, private: Path) -> None:
        self._build = build
        self._folder = private
        self._input = private / "input"
        self._said = private / "said"
        self._process: subprocess.Popen[bytes] | None = None
        self._spent_s = self._used_s = 0.0

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, data: bytes) -> object | None:
        """Where a sanitizer ended it; None for every other end, which the hardened build sees as well."""
        self._input.write_bytes(data)
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(f"{self._input}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            self._end()
            return None
        status = self._answer(process, WAITING_S)
        if status is None:
            self._end()  # it hangs, or the target ended its server
            return None
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == sanitizers.EXIT_STATUS:
            return self._place()
        self._forget()
        return None

    def _answer(self, process: subprocess.Popen[bytes], limit_s: float) -> int | None:
        """The wait status that the server tells, None when it tells nothing."""
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], limit_s)[0]:
            return None
        answer = os.read(process.stdout.fileno(), ANSWER.size)
        if len(answer) < ANSWER.size:
            return None
        status, used_ms = ANSWER.unpack(answer)
        self._used_s = used_ms / 1000
        return int(status)

    @property
    def used_s(self) -> float:
        """Processor time of this server and of those that ended before."""
        return self._spent_s + self._used_s

    def _place(self) -> object:
        report = self._said.read_bytes()[-sanitizers.LOG_LIMIT_BYTES :].decode("utf-8", "replace")
        self._forget()
        frames = sanitizers.report_stack(report)[:PLACE_FRAMES]
        return tuple((frame.module, frame.offset) for frame in frames) or "without a stack"

    def _forget(self) -> None:
        if self._said.stat().st_size:
            os.truncate(self._said, 0)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        plan = {
            "parent_pid": os.getpid(),
            "executable": str(self._build.executable),
            "folder": str(self._folder),
            "seconds": math.ceil(SLOWER * self._build.target.limits.cpu_s),
            "output_bytes": self._build.target.limits.output_bytes,
        }
        environment = clean_environment(os.environ) | sanitizers.environment(Path("stderr"))
        with self._said.open("ab") as said:  # appended to: what is cut off leaves no hole
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fuzz.twin_server", json.dumps(plan)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**environment, "TMPDIR": str(self._folder), "PWD": str(self._folder)},
                start_new_session=True,
            )
        if self._answer(self._process, READY_S) is None:
            self._forget()
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        self._spent_s, self._used_s = self._spent_s + self._used_s, 0.0
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process = None
