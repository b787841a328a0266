"""What a clean run says could happen at each call, from real programs."""

import subprocess
from pathlib import Path

import pytest

from firedamp.trace.client import Executor
from firedamp.trace.protocol import Execution
from inject.observe.census import Census, Hit, Report

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


KINDS = r"""
#include <arpa/inet.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    char data[9000] = {0};
    int ends[2], pair[2], messages[2];
    struct sockaddr_un near = {AF_UNIX, "absent"};
    struct sockaddr_in far = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    char *pages = mmap(0, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages, 12288, PROT_NONE);                  /* nothing beside it to be joined to */
    munmap(pages + 4096, 4096);
    munmap(pages, 4096);
    connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&near, sizeof near);
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof far;
    bind(server, (void *)&far, size);
    getsockname(server, (void *)&far, &size);
    listen(server, 1);
    connect(client, (void *)&far, sizeof far);
    send(client, data, 9, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send(pair[0], data, 9, 0);
    recv(pair[1], data, 9, MSG_DONTWAIT);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, messages);
    send(messages[0], data, 9, 0);
    recv(messages[1], data, 9, 0);
    pipe(ends);
    write(ends[1], data, 9);
    read(ends[0], data, 9);
    flock(ends[0], LOCK_EX);
    flock(ends[0], LOCK_EX | LOCK_NB);
    open("/etc/passwd", O_RDONLY);
    open("/etc/passwd", O_RDONLY | O_NOFOLLOW);
    return 0;
}
"""


def counted(folder: Path, program: str) -> list[Hit]:
    """The program's own calls."""
    (folder / "p.c").write_text(program)
    subprocess.run(["gcc", "-w", "-o", folder / "p", folder / "p.c"], check=True)
    with Executor() as executor:
        execution = Execution(argv=(str(folder / "p"),), environment=(), folder=folder, interceptor=Census())
        found = executor.run(execution).report
    assert isinstance(found, Report)
    return [hit for hit in found.hits if not hit.startup]


def names(hit: Hit) -> set[str]:
    return {fact.name for fact in hit.errnos}


def test_what_could_happen_follows_what_the_call_is_about(tmp_path: Path) -> None:
    hits = counted(tmp_path, KINDS)
    split, end = (names(hit) for hit in hits if hit.syscall == "munmap")
    assert "ENOMEM" in split and not end
    near, far = (names(hit) for hit in hits if hit.syscall == "connect")
    assert {"ENOENT", "ECONNREFUSED"} <= near and not {"ETIMEDOUT", "ENETUNREACH"} & near
    assert {"ETIMEDOUT", "ECONNREFUSED", "ENETUNREACH"} <= far and "ENOENT" not in far
    sent = [hit for hit in hits if hit.syscall == "sendto"]
    assert [hit.kind for hit in sent] == ["socket", "socket", "datagram"]
    assert ["ENETDOWN" in names(hit) for hit in sent] == [True, False, False]
    assert ["EAGAIN" in names(hit) for hit in hits if hit.syscall == "recvfrom"] == [True, False]
    assert ["EIO" in names(hit) for hit in hits if hit.syscall == "read"] == [False]
    assert ["EAGAIN" in names(hit) for hit in hits if hit.syscall == "flock"] == [False, True]
    assert ["ELOOP" in names(hit) for hit in hits if hit.path == "/etc/passwd"] == [True, False]


def test_a_call_is_interrupted_only_where_its_handlers_do_not_restart_it(tmp_path: Path) -> None:
    hits = counted(tmp_path, PROGRAM)
    calls = [hit for hit in hits if hit.syscall in ("read", "poll", "clock_nanosleep")]
    asked = [tuple("EINTR" in names(hit) for hit in calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert asked == [
        (False, False, False),  # nothing is caught
        (False, True, True),  # SA_RESTART
        (True, True, True),  # and a socket with a timeout
        (True, True, True),  # without SA_RESTART, in the child
        (False, False, False),  # after its execve
        (False, True, True),  # SIG_DFL again
    ]
