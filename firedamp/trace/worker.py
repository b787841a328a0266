"""python -P -m firedamp.trace.worker FD PARENT: the process in which tracing happens, for firedamp.trace.client.

It dies with its parent (PR_SET_PDEATHSIG), and its tracees die with it (PTRACE_O_EXITKILL).
"""

import gc
import os
import signal
import socket
import sys
import traceback
from ctypes import CDLL
from dataclasses import replace

from firedamp import errors
from firedamp.trace import wire
from firedamp.trace.protocol import Execution, Snapshot, Snapshots, Verdict
from firedamp.trace.snapshot import SnapshotTracer

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _settle(parent: int) -> None:
    """Bind our life to the parent's; give programs the signal dispositions that a shell gives them."""
    libc = CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    # Ignored signals stay ignored across execve, and Python itself ignores SIGPIPE and SIGXFSZ.
    for number in signal.valid_signals():
        if signal.getsignal(number) in (signal.SIG_IGN, signal.default_int_handler):
            signal.signal(number, signal.SIG_DFL)


def _answer(
    tracer: SnapshotTracer, request: wire.Request, descriptors: list[int], connection: socket.socket
) -> wire.Answer:
    def publish(snapshot: Snapshot) -> Verdict:
        wire.send(connection, snapshot)
        verdict, _ = wire.receive(connection)
        assert isinstance(verdict, Verdict)
        return verdict

    assert not isinstance(request.execution, wire.Again)
    given = dict(zip(request.targets, descriptors, strict=True))
    try:
        if isinstance(request.execution, Snapshots):
            return tracer.run_snapshots(request.execution, given, publish)
        return tracer.run(request.execution, given)
    except errors.FiredampError as error:
        name = type(error).__name__
        plain = type(error).__init__ is Exception.__init__
        return wire.Failed(error=name if plain else "UsageError", text=str(error))
    except Exception:
        return wire.Failed(error="WorkerDied", text=f"the tracer failed; please report this:\n{traceback.format_exc()}")


def main(connection: socket.socket) -> None:
    tracer = SnapshotTracer()
    last: Execution | None = None
    gc.freeze()
    gc.set_threshold(50_000)  # a run makes few cycles; a collection in its midst takes as long as an execve
    while True:
        try:
            request, descriptors = wire.receive(connection)
        except EOFError:
            return
        except Exception:  # an interceptor whose module cannot be imported here
            wire.send(connection, wire.Failed(error="WorkerDied", text=traceback.format_exc()))
            continue
        assert isinstance(request, wire.Request)
        match request.execution:
            case wire.Again(interceptor=interceptor):
                assert last is not None
                request = replace(request, execution=replace(last, interceptor=interceptor))
            case Execution():
                last = replace(request.execution, interceptor=None)
        try:
            answer = _answer(tracer, request, descriptors, connection)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        wire.send(connection, answer)


if __name__ == "__main__":
    _settle(int(sys.argv[2]))
    main(socket.socket(fileno=int(sys.argv[1])))
