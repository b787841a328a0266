"""Markers and the reckoning of skips: a test that needs what this machine lacks says so, and the count comes last."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

EXPECTED = "FIREDAMP_EXPECTED_SKIPS"  # set by CI: comma-separated reasons that are allowed there

# What whoever starts the tests wants of colours and widths is not what they are about (variables of Rich and click).
for taste in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
    os.environ.pop(taste, None)

# How long a draw or an example takes is the machine's affair; pytest-timeout ends what hangs. The examples are the same
# in each run, so that a red one can be run again.
settings.register_profile("any machine", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def ptrace_works() -> bool:
    """ptrace(2) may be forbidden by a container's seccomp profile or by Yama."""
    traceme = "import ctypes; raise SystemExit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)"
    return subprocess.run([sys.executable, "-c", traceme], check=False).returncode == 0


BREAKPOINT = """
import ctypes, os, signal
from firedamp.trace import ptrace
libc = ctypes.CDLL(None)
address = ctypes.cast(libc.getppid, ctypes.c_void_p).value
child = os.fork()
if not child:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    libc.getppid()
    os._exit(1)
os.waitpid(child, 0)
ptrace.set_breakpoint(child, address)
ptrace.resume(child)
status = os.waitpid(child, 0)[1]
os.kill(child, signal.SIGKILL)
raise SystemExit(not (os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP))
"""


def breakpoints_work() -> bool:
    """Not every virtual machine has the processor's debug registers."""
    return subprocess.run([sys.executable, "-c", BREAKPOINT], capture_output=True, check=False).returncode == 0


def landlock_works() -> bool:
    from firedamp import jail

    return jail.abi() > 0


def namespaces_work() -> bool:
    """A user and a mount namespace: without root some distributions and most containers forbid them."""
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "firedamp", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )


FEATURES: dict[str, Callable[[], bool]] = {
    "zig": lambda: find_spec("ziglang") is not None,
    "ptrace": ptrace_works,
    "seccomp": ptrace_works,
    "breakpoints": breakpoints_work,
    "landlock": landlock_works,
    "namespaces": namespaces_work,
}
available: dict[str, bool] = {}


def has(feature: str) -> bool:
    """A feature of the table, else a program in PATH; asked once per session."""
    if feature not in available:
        probe = FEATURES.get(feature, lambda: shutil.which(feature) is not None)
        available[feature] = probe()
    return available[feature]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for feature in marker.args:
            if not has(feature):
                pytest.skip(f"needs {feature}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """CI names the skips that it expects; any other one there is a missing installation, not a pass."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if EXPECTED not in os.environ or reporter is None:
        return
    allowed = set(filter(None, os.environ[EXPECTED].split(",")))
    reasons = {str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])}
    surprises = sorted(reasons - allowed)
    if surprises:
        reporter.write_line(f"skips that were not expected here: {', '.join(surprises)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.write_line(f"skipped: {len(skipped)}")
