"""Child process (python -P -m fuzz.driver PLAN): holds libFuzzer and the target ready, forks one worker per life.

LLVMFuzzerRunDriver can be called once in a process and the target may die in any execution. So the process that has
everything loaded never fuzzes: it forks, waits, and says how the worker ended; the next life starts within
milliseconds. It is the first process of a pid namespace where the kernel allows one, and its orphans' reaper elsewhere:
nothing that a target starts outlives it. It decides nothing and judges nothing; that is the supervisor's.
"""

import json
import os
import resource
import select
import signal
import sys
import traceback
from pathlib import Path

from firedamp import jail
from fuzz import kernel
from fuzz.life import Life, prepare
from fuzz.plan import Plan


def main() -> int:
    plan = Plan.load(sys.argv[1])
    kernel.die_with(plan.supervisor_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    namespace = kernel.unshare_pids()
    guardian_pid = os.getpid()
    init_pid = os.fork()
    if init_pid:
        return _guard(plan, init_pid)
    # Inside a fresh pid namespace the parent is nobody: getppid() is 0.
    kernel.die_with(0 if namespace else guardian_pid)
    kernel.adopt_orphans()
    with os.fdopen(plan.control_fd, "rb", buffering=0) as control:
        try:
            life = prepare(plan)
            confinement = _confine(plan)
        except Exception:
            _say(plan, error=traceback.format_exc())
            return 0
        _say(plan, ready=True, namespace=namespace, confinement=confinement)
        while request := control.readline():
            if request.strip():  # an empty line is a kill that came after its life had ended
                _live(plan, life, json.loads(request)["argv"], namespace=namespace)
    return 0


def _guard(plan: Plan, init_pid: int) -> int:
    """Stay outside the namespace, hold no descriptor that would hide an end of file, and leave with the inside."""
    os.close(plan.control_fd)
    os.close(plan.status_fd)
    os.waitpid(init_pid, 0)
    return 0


def _confine(plan: Plan) -> str:
    """Landlock over us and all that follow; says what holds, or why nothing does."""
    ruleset_fd = jail.ruleset(tuple(map(Path, plan.writable)))
    if ruleset_fd is not None:
        jail.restrict_self(ruleset_fd)
        os.close(ruleset_fd)
    return jail.level()


def _live(plan: Plan, life: Life, argv: list[str], *, namespace: bool) -> None:
    """One life: fork, wait for its end or for the supervisor's, report."""
    parent_pid = os.getpid()
    worker_pid = os.fork()
    if worker_pid == 0:
        _work(plan, life, argv, parent_pid)
    status = _await(plan, worker_pid, namespace=namespace)
    kernel.kill_descendants(namespace=namespace)
    _say(plan, signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None, status=_exit_status(status))


def _work(plan: Plan, life: Life, argv: list[str], parent_pid: int) -> None:
    """Never returns: whatever happens ends in _exit, so that no code of the parent runs twice."""
    code = 1
    try:
        kernel.die_with(parent_pid)
        os.close(plan.control_fd)
        os.close(plan.status_fd)
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # Python's own settings are not the target's
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan.output_bytes, plan.output_bytes))
        null_fd = os.open(os.devnull, os.O_RDWR)
        os.dup2(null_fd, 0)
        os.dup2(null_fd, 1)
        os.dup2(plan.log_fd, 2)
        os.chdir(plan.folder)
        code = life(argv)
    except BaseException:
        os.write(plan.log_fd, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _await(plan: Plan, worker_pid: int, *, namespace: bool) -> int:
    """The wait status of the worker. Any word from the supervisor meanwhile (or its end) kills the worker."""
    worker_fd = os.pidfd_open(worker_pid)
    try:
        poll = select.poll()
        poll.register(worker_fd, select.POLLIN)
        poll.register(plan.control_fd, select.POLLIN)
        if worker_fd not in dict(poll.poll()):
            os.kill(worker_pid, signal.SIGKILL)
            if not os.read(plan.control_fd, 1):
                kernel.kill_descendants(namespace=namespace)
                os._exit(0)
    finally:
        os.close(worker_fd)
    return os.waitpid(worker_pid, 0)[1]


def _exit_status(status: int) -> int | None:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None


def _say(plan: Plan, **facts: object) -> None:
    os.write(plan.status_fd, (json.dumps(facts) + "\n").encode())


if __name__ == "__main__":
    os._exit(main())
