"""What firedamp needs of a machine, each asked by really doing it, in processes of their own."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from firedamp import jail
from firedamp.building import toolchain
from firedamp.target import MEBIBYTE
from firedamp.trace import launch

TUNABLES_SINCE = (2, 26)  # glibc's NEWS
ENOUGH_BYTES = 512 * MEBIBYTE  # builds, corpora and private copies of one project
PROBE_S = 20.0

# One process each, for none of these can be undone. ptrace(2): PTRACE_TRACEME is 0. seccomp(2): the operation
# SECCOMP_GET_ACTION_AVAIL is 2, SECCOMP_RET_TRACE 0x7ff00000. unshare(2): CLONE_NEWUSER | CLONE_NEWPID.
PTRACE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)"
SECCOMP = (
    "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(317, 2, 0, ctypes.byref(ctypes.c_uint32(0x7FF00000))) != 0)"
)
NAMESPACES = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x20000000) != 0)"


class Health(StrEnum):
    OK = "ok"
    WEAK = "weak"  # firedamp works, with less
    MISSING = "MISSING"  # something essential


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    health: Health
    state: str
    remedy: str = ""


def examine(folder: Path) -> Iterator[Row]:
    """Row by row, as each is known; `folder` is where results would lie."""
    yield _python()
    yield _compilers()
    yield _gcov()
    yield _libc()
    yield _atheris()
    yield _ptrace()
    yield _seccomp()
    yield _privileges()
    yield _landlock()
    yield _namespaces()
    yield _core_pattern()
    yield _disk(folder)


def _row(works: bool, what: str, state: str, remedy: str, *, otherwise: Health = Health.MISSING) -> Row:
    return (
        Row(what=what, health=Health.OK, state=state)
        if works
        else Row(what=what, health=otherwise, state=state, remedy=remedy)
    )


def _python() -> Row:
    found = ".".join(map(str, sys.version_info[:3]))
    return Row(what="python", health=Health.OK, state=f"CPython {found}, {sys.executable}")


def _compilers() -> Row:
    found = toolchain.find_compilers()
    state = ", ".join(map(str, found)) or "none works"
    return _row(bool(found), "compilers", state, toolchain.REMEDY)


def _gcov() -> Row:
    found = shutil.which("gcov") if shutil.which("gcc") else None
    state = found or "none beside gcc: sweep --recovery tells no lines"
    return _row(found is not None, "gcov", state, "apt-get install gcc", otherwise=Health.WEAK)


def _libc() -> Row:
    """Allocations are made to fail by way of glibc's tunables, which are since 2.26."""
    name, number = platform.libc_ver()
    works = name == "glibc" and tuple(map(int, number.split(".")[:2])) >= TUNABLES_SINCE
    state = f"{name} {number}" if works else f"{name or 'none known'} {number}: no allocation fails (--malloc)".strip()
    return _row(works, "libc", state, "a distribution with glibc 2.26 or newer", otherwise=Health.WEAK)


def _atheris() -> Row:
    try:
        state = f"atheris {version('atheris')}"
    except PackageNotFoundError:
        state = "not installed"
    works = find_spec("atheris") is not None
    return _row(works, "atheris", state, f"{sys.executable} -m pip install atheris")


def _ptrace() -> Row:
    installed = find_spec("ptrace") is not None
    works = _probe(PTRACE)
    state = "allowed" if works else "refused by the kernel or the container"
    if not installed:
        return _row(False, "ptrace", "python-ptrace is not installed", f"{sys.executable} -m pip install python-ptrace")
    return _row(
        works, "ptrace", state, "run the container with --cap-add=SYS_PTRACE; sysctl kernel.yama.ptrace_scope=1"
    )


def _seccomp() -> Row:
    works = _probe(SECCOMP)
    state = "filters with RET_TRACE" if works else "no filters with RET_TRACE"
    return _row(works, "seccomp", state, "a kernel with CONFIG_SECCOMP_FILTER; run outside gVisor and the like")


def _privileges() -> Row:
    """seccomp(2): without CAP_SYS_ADMIN a filter needs no_new_privs, under which set-user-ID programs gain nothing."""
    words = (
        "keep theirs under inject, not in a sweep" if launch.administers() else "run without theirs (no CAP_SYS_ADMIN)"
    )
    state = f"set-user-ID programs {words}"
    return Row(what="privileges", health=Health.OK, state=state)


def _landlock() -> Row:
    level = jail.abi()
    state = f"level {level}" if level > 0 else "not there: programs under test could write anywhere"
    remedy = "Linux 5.13 or newer with landlock in the kernel's lsm= list; until then use a container"
    return _row(level > 0, "landlock", state, remedy, otherwise=Health.WEAK)


def _namespaces() -> Row:
    works = _probe(NAMESPACES)
    state = "user and pid" if works else "refused: a daemon of a program under test may outlive a killed firedamp"
    remedy = "sysctl user.max_user_namespaces=10000; sysctl kernel.unprivileged_userns_clone=1 (Debian)"
    return _row(works, "namespaces", state, remedy, otherwise=Health.WEAK)


def _core_pattern() -> Row:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii", errors="replace").strip()
    works = not pattern.startswith("|")
    state = f"{pattern!r}" if works else f"{pattern!r}: a program is started for each crash, which is slow"
    return _row(works, "core_pattern", state, "sysctl kernel.core_pattern=core", otherwise=Health.WEAK)


def _disk(folder: Path) -> Row:
    free = shutil.disk_usage(
        next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    ).free
    state = f"{free // MEBIBYTE:,} MiB free for {folder}"
    return _row(
        free >= ENOUGH_BYTES,
        "disk",
        state,
        "free some space, or give another folder with --results",
        otherwise=Health.WEAK,
    )


def _probe(code: str) -> bool:
    try:
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
