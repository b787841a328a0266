"""The few Linux calls that a fuzzing process needs and Python 3.11 lacks: prctl(2) and unshare(2)."""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

# linux/prctl.h and linux/sched.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent_pid: int) -> None:
    """Be killed when the parent dies; leave at once if it is dead already (it may die before the prctl)."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def adopt_orphans() -> None:
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def unshare_pids() -> bool:
    """Give the next child a pid namespace of its own: whatever it leaves behind dies with it (pid_namespaces(7)).

    Without privileges that takes a user namespace, in which we stay who we are. False where the kernel allows neither.
    """
    if _libc.unshare(_CLONE_NEWPID) == 0:
        return True
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID) != 0:
        return False
    with suppress(OSError):  # unmapped, we own our files all the same
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def kill_descendants(*, namespace: bool) -> None:
    """End and reap every other process of our pid namespace or, without one, all that we gave birth to or adopted."""
    while True:
        if namespace:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in _children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    return [int(pid) for pid in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]
