"""The table proved: the kernel is made to fail a call, and the same call fails by a policy; nobody can tell which."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.outcome import Exited
from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.decide.decider import Decider
from inject.linux import syscalls
from inject.linux.syscalls import Tier
from inject.policy import parse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp")]
pytestmark += [pytest.mark.needs("namespaces"), pytest.mark.needs("gcc")]

SOURCE = Path(__file__).parents[1] / "targets" / "provoked" / "errnos.c"
PROVED = [(name, wrong) for name in syscalls.table() for wrong in syscalls.provoked(name)]
FOR_ROOT = frozenset({"setuid", "setgid"})  # nobody else has a user to change to


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("provoked") / "errnos"
    subprocess.run(["gcc", "-O1", "-g", "-o", output, SOURCE], check=True)
    return output


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


class Witness:
    """Each run has a folder of its own, which anybody may use."""

    def __init__(self, executor: Executor, program: Path, folder: Path) -> None:
        self.executor, self.program, self.folder = executor, program, folder

    def says(self, name: str, wrong: str, how: str, policy: str = "") -> list[str]:
        folder = self.folder / f"{how}{bool(policy)}"
        folder.mkdir()
        folder.chmod(0o777)
        decider = Decider(parse(policy), folder=str(folder)) if policy else None
        argv = (str(self.program), name, wrong, how)
        trace = self.executor.run(Execution(argv=argv, environment=(), folder=folder, interceptor=decider))
        assert trace.outcome.ending == Exited(status=0), trace.outcome.stdout
        return trace.outcome.stdout.decode().splitlines()


@pytest.fixture
def witness(executor: Executor, program: Path, tmp_path: Path) -> Witness:
    return Witness(executor, program, tmp_path)


@pytest.mark.parametrize(("name", "wrong"), PROVED)
def test_an_injected_failure_is_the_kernel_s_own(witness: Witness, name: str, wrong: str) -> None:
    if name in FOR_ROOT and os.getuid() != 0:
        pytest.skip("needs root")
    fact = syscalls.get(name).find_errno(syscalls.errno_number(wrong) or 0)
    assert fact is not None and fact.tier is not Tier.IMPOSSIBLE
    provoked = witness.says(name, wrong, "real")
    assert provoked[0] == f"result {wrong}"
    assert f"result {wrong}" not in witness.says(name, wrong, "plain")  # the cause is what makes it fail
    policy = f'{name}: caller eq "checked" then deny[{wrong.lower()}]'
    assert witness.says(name, wrong, "plain", policy) == provoked


def test_what_the_table_calls_provoked_is_what_is_provoked(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert sorted(tuple(line.split()) for line in done.stdout.splitlines()) == sorted(PROVED)
    assert len(PROVED) >= 100
