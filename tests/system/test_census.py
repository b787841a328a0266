"""What a clean run says of the signals that its processes catch, from real programs."""

import subprocess

import pytest

from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.census import Census, Hit, Report

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp"), pytest.mark.needs("gcc")]

PROGRAM = r"""
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nothing(int number) { (void)number; }
static void catch(int number, int flags)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = flags};
    sigaction(number, &action, 0);
}
static void ask(int fd)
{
    char byte;
    struct timespec none = {0, 0};
    if (read(fd, &byte, 1) == 1)
        poll(0, 0, 0);
    clock_nanosleep(CLOCK_REALTIME, 0, &none, 0);
}
int main(int argc, char **argv)
{
    int ends[2], pair[2];
    struct timeval second = {1, 0};
    pipe(ends);
    write(ends[1], "123456", 6);
    if (argc > 1) {
        ask(ends[0]);            /* exec has reset the handlers */
        return 0;
    }
    ask(ends[0]);                /* nobody catches anything */
    catch(SIGUSR1, SA_RESTART);
    ask(ends[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    write(pair[1], "12", 2);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    ask(pair[0]);
    catch(SIGUSR2, 0);
    if (fork() == 0) {
        ask(ends[0]);            /* inherited */
        execl(argv[0], argv[0], "again", (char *)0);
    }
    wait(0);
    signal(SIGUSR2, SIG_DFL);
    ask(ends[0]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("census")
    (folder / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-w", "-o", folder / "p", folder / "p.c"], check=True)
    with Executor() as executor:
        execution = Execution(argv=(str(folder / "p"),), environment=(), folder=folder, interceptor=Census())
        found = executor.run(execution).report
    assert isinstance(found, Report)
    return found


def interruptible(hit: Hit) -> bool:
    return any(fact.name == "EINTR" for fact in hit.errnos)


def test_a_call_is_interrupted_only_where_its_handlers_do_not_restart_it(report: Report) -> None:
    calls = [hit for hit in report.hits if hit.syscall in ("read", "poll", "clock_nanosleep") and not hit.startup]
    asked = [tuple(interruptible(hit) for hit in calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert asked == [
        (False, False, False),  # nothing is caught
        (False, True, True),  # SA_RESTART
        (True, True, True),  # and a socket with a timeout
        (True, True, True),  # without SA_RESTART, in the child
        (False, False, False),  # after its execve
        (False, True, True),  # SIG_DFL again
    ]
