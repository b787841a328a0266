"""What filters ask of a call's arguments, asked of real calls. Each rule must hold, and its opposite must not."""

import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.decide.decider import Decider, DecisionReport
from inject.policy import parse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]

ENVIRONMENT = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"))
PROGRAMS = {
    "chown": "os.chown('in', -1, -1)",
    "setresuid": "os.setresuid(-1, os.getuid(), -1)",
    "setregid": "os.setregid(-1, os.getgid())",
    "execve": "os.execv('/bin/echo', ['echo', 'a b', 'c'])",
    "socket": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "kill": "os.kill(os.getpid(), signal.SIGCONT)",
    "killpg": "os.kill(0, signal.SIGCONT)",
    "fcntl": "fcntl.fcntl(0, fcntl.F_GETFL)",
    "ioctl": "os.isatty(0)",
    "mmap": "mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE)",
    "mprotect": "ctypes.CDLL(None).mprotect(ctypes.c_void_p(0), 0, 0)",
    "sendto": "socket.socketpair()[0].send(b'x', socket.MSG_NOSIGNAL)",
    "unlinkat": "os.rmdir('gone', dir_fd=os.open('.', os.O_RDONLY))",
    "symlink": "os.symlink('some text', 'link')",
    "memfd": "os.memfd_create('a name')",
}
ROWS = [
    ("chown", 'chown: uid eq "-1" and gid eq "-1"', 'chown: uid eq "0"'),
    ("setresuid", 'setresuid: uid[1] eq "UID" and uid[0] eq "-1"', 'setresuid: uid eq "UID"'),
    ("setresuid", 'setresuid: uname[1] eq "USER"', 'setresuid: uname[1] eq "nobody-here"'),
    ("setregid", 'setregid: gid[1] eq "GID"', 'setregid: uid eq "-1"'),
    ("execve", 'execve: argv eq "echo a b c"', 'execve: argv eq "echo"'),
    ("socket", 'socket: sockdom eq "AF_UNIX" and socktype eq "SOCK_DGRAM"', 'socket: sockdom eq "AF_INET"'),
    ("kill", 'kill: pidname match "PYTHON" and signame eq "SIGCONT"', 'kill: signame eq "SIGTERM"'),
    ("killpg", 'kill: pidname eq "<own process group>"', 'kill: pidname sub "python"'),
    ("fcntl", 'fcntl: cmd eq "F_GETFL" and fd eq "0"', 'fcntl: cmd eq "F_SETFL" and fd eq "0"'),
    ("ioctl", 'ioctl: cmd eq "TCGETS" and fd eq "0"', 'ioctl: cmd eq "TIOCGWINSZ"'),
    ("mmap", 'mmap: prot eq "PROT_READ|PROT_WRITE" and flags eq "MAP_PRIVATE|MAP_ANONYMOUS"', 'mmap: prot eq "3"'),
    ("mprotect", 'mprotect: prot eq "PROT_NONE"', 'mprotect: prot eq "PROT_EXEC"'),
    ("sendto", 'sendto: flags eq "MSG_NOSIGNAL"', 'sendto: flags eq "0"'),
    ("unlinkat", 'unlinkat: flags eq "AT_REMOVEDIR"', 'unlinkat: flags eq "0"'),
    ("symlink", 'symlink: string eq "some text" and filename match "*/link"', 'symlink: filename sub "text"'),
    ("memfd", 'memfd_create: string eq "a name"', 'memfd_create: filename eq "a name"'),
]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


def fired(executor: Executor, folder: Path, name: str, rule: str) -> int:
    names = {"UID": str(os.getuid()), "GID": str(os.getgid()), "USER": pwd.getpwuid(os.getuid()).pw_name}
    for word, value in (*names.items(), ("PYTHON", str(Path(sys.executable).resolve()))):
        rule = rule.replace(f'"{word}"', f'"{value}"')
    program = f"import ctypes, fcntl, mmap, os, signal, socket\ntry: {PROGRAMS[name]}\nexcept OSError: pass"
    execution = Execution(
        argv=(sys.executable, "-I", "-S", "-c", program),
        environment=ENVIRONMENT,
        folder=folder,
        interceptor=Decider(parse(f"{rule} then deny[eio]")),
    )
    report = executor.run(execution).report
    assert isinstance(report, DecisionReport)
    return report.fired[0]


@pytest.mark.parametrize(("name", "right", "wrong"), ROWS)
def test_an_attribute_is_what_systrace_says(
    executor: Executor, tmp_path: Path, name: str, right: str, wrong: str
) -> None:
    (tmp_path / "in").touch()
    assert fired(executor, tmp_path, name, right) > 0
    assert fired(executor, tmp_path, name, wrong) == 0
