"""The table of system calls against the machine: numbers, strace's classes, and errnos made to happen."""

# The calls themselves are under test, not what pathlib makes of them.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH116, PTH211
import errno
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inject import syscalls
from inject.syscalls import CallFacts, Kind, Tier

# (name, its number by the x86-64 ABI): a few that a slip of one line would move
KNOWN = [
    ("read", 0),
    ("openat", 257),
    ("execve", 59),
    ("renameat2", 316),
    ("statx", 332),
    ("clone3", 435),
    ("openat2", 437),
]


@pytest.mark.parametrize(("name", "number"), KNOWN)
def test_numbers(name: str, number: int) -> None:
    assert syscalls.NUMBERS[name] == number
    assert syscalls.name(number) == name


def test_the_table_is_whole_and_has_no_number_twice() -> None:
    numbers = list(syscalls.NUMBERS.values())
    assert len(numbers) == len(set(numbers)) >= 362
    assert set(range(335)) <= set(numbers)


def test_an_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(KeyError, match="did you mean write"):
        syscalls.get("wriet")
    assert syscalls.name(9999) == "syscall_9999"


def test_arguments_that_carry_names_descriptors_and_addresses() -> None:
    rename = syscalls.get("renameat2")
    assert (rename.indexes(Kind.FD), rename.indexes(Kind.PATH)) == ((0, 2), (1, 3))
    assert syscalls.get("connect").indexes(Kind.SOCKADDR) == (1,)
    assert syscalls.get("openat").find_index("flags") == 2
    assert syscalls.get("mmap").indexes(Kind.FD) == (4,)


def test_every_member_of_a_family_alias_or_bsd_name_exists() -> None:
    for members in (*syscalls.families().values(), *syscalls.bsd().values()):
        assert set(members) <= set(syscalls.NUMBERS)


def test_classes_are_strace_s() -> None:
    assert {"open", "openat", "rename", "execve", "chdir"} <= set(syscalls.in_class("file"))
    assert {"read", "write", "close", "mmap"} <= set(syscalls.in_class("desc"))
    assert set(syscalls.in_class("net")) == set(syscalls.in_class("network")) > {"connect", "sendfile"}
    assert syscalls.in_class("stat") == ("stat",)
    assert set(syscalls.in_class("%stat")) == {"stat", "fstat", "lstat", "newfstatat", "statx"}
    assert "write" not in syscalls.in_class("file")
    assert syscalls.in_class("nonsense") == ()


def names_of(name: str, **facts: object) -> set[str]:
    return {fact.name for fact in syscalls.plausible(name, CallFacts(**facts))}  # type: ignore[arg-type]


def test_what_is_plausible_follows_the_call() -> None:
    assert {"ENOSPC", "EDQUOT", "EFBIG", "EIO"} == names_of("write", descriptor_kind="file")
    assert {"EPIPE"} == names_of("write", descriptor_kind="pipe")
    assert {"EPIPE"} == names_of("write", descriptor_kind="pipe", catches_signals=True)
    assert {"EPIPE", "EINTR"} == names_of("write", descriptor_kind="pipe", catches_signals=True, unrestarted=True)
    assert "EINTR" in names_of("poll", catches_signals=True) and "EINTR" not in names_of("poll")
    timed = {"descriptor_kind": "socket", "timed": True}
    assert "EINTR" in names_of("recvfrom", catches_signals=True, **timed) and "EINTR" not in names_of(
        "recvfrom", **timed
    )
    assert {"EIO"} == names_of("read", descriptor_kind="file", unrestarted=True, catches_signals=True, nonblocking=True)
    assert "ENOSPC" not in names_of("openat")
    assert "ENOSPC" in names_of("openat", open_flags=os.O_CREAT | os.O_WRONLY, creates=True)
    assert "ENOENT" not in names_of("openat", open_flags=os.O_CREAT | os.O_WRONLY, creates=True)
    assert "EROFS" not in names_of("openat") and "EROFS" in names_of("openat", open_flags=os.O_RDWR)
    assert names_of("brk") == names_of("mmap") == names_of("munmap") == {"ENOMEM"}
    assert not names_of("lseek", descriptor_kind="file")
    assert "ENOENT" not in names_of("fchmod", descriptor_kind="file")


def test_a_failed_close_has_closed() -> None:
    found = syscalls.get("close").find_errno(errno.EIO)
    assert found is not None and found.effect == "commit"
    found = syscalls.get("write").find_errno(errno.ENOSPC)
    assert found is not None and (found.effect, found.lasting) == ("suppress", True)


def test_programs_own_mistakes_are_no_fault_of_the_environment() -> None:
    for call in syscalls.table().values():
        for fact in call.errnos:
            assert fact.name not in ("EBADF", "EFAULT", "EINVAL") or fact.tier is not Tier.ENVIRONMENT, call.name


# --- provoked: the kernel itself is made to return what the table says that it can


def _open(path: str, flags: int) -> None:
    os.close(os.open(path, flags, 0o600))


def _full_disk() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        os.write(fd, b"x")
    finally:
        os.close(fd)


def _limited(kind: int, amount: int, act: Callable[[], object]) -> None:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (amount, hard))
    try:
        act()
    finally:
        resource.setrlimit(kind, (soft, hard))


def _too_large(folder: Path) -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    fd = os.open(folder / "large", os.O_CREAT | os.O_WRONLY)
    try:
        _limited(resource.RLIMIT_FSIZE, 16, lambda: (os.lseek(fd, 16, os.SEEK_SET), os.write(fd, b"x")))
    finally:
        os.close(fd)
        signal.signal(signal.SIGXFSZ, before)


def _nonblocking(write: bool) -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"x" * 65536) if write else os.read(reading, 1)
    finally:
        os.close(reading)
        os.close(writing)


def _broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        os.write(writing, b"x")
    finally:
        os.close(writing)


def _reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        os.read(client.fileno(), 1)


def _refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with socket.socket() as client:
        client.connect(address)


def _connect_unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as second:
        second.bind(server.getsockname())


def _busy_text(folder: Path) -> None:
    copy = folder / "sleep"
    copy.write_bytes(Path("/bin/sleep").read_bytes())
    copy.chmod(0o700)
    with subprocess.Popen([copy, "10"]) as child:
        try:
            _open(str(copy), os.O_WRONLY)
        finally:
            child.kill()


def _in(folder: Path) -> dict[tuple[str, str], Callable[[], object]]:
    (folder / "file").write_bytes(b"x")
    (folder / "full").mkdir()
    (folder / "full" / "x").touch()
    (folder / "loop").symlink_to("loop")
    plain, full, loop = str(folder / "file"), str(folder / "full"), str(folder / "loop")
    absent, below = str(folder / "absent"), str(folder / "file" / "x")
    reading = os.O_RDONLY
    return {
        ("openat", "ENOENT"): lambda: _open(absent, reading),
        ("openat", "ENOTDIR"): lambda: _open(below, reading),
        ("openat", "ELOOP"): lambda: _open(loop, reading),
        ("openat", "EISDIR"): lambda: _open(full, os.O_WRONLY),
        ("openat", "EEXIST"): lambda: _open(plain, os.O_CREAT | os.O_EXCL),
        ("openat", "EMFILE"): lambda: _limited(resource.RLIMIT_NOFILE, 3, lambda: _open(plain, reading)),
        ("openat", "ETXTBSY"): lambda: _busy_text(folder),
        ("openat", "ENXIO"): lambda: (
            os.mkfifo(folder / "fifo"),
            _open(str(folder / "fifo"), os.O_WRONLY | os.O_NONBLOCK),
        ),
        ("write", "ENOSPC"): _full_disk,
        ("write", "EFBIG"): lambda: _too_large(folder),
        ("write", "EPIPE"): _broken_pipe,
        ("write", "EAGAIN"): lambda: _nonblocking(True),
        ("read", "EAGAIN"): lambda: _nonblocking(False),
        ("read", "EISDIR"): lambda: os.read(os.open(full, reading), 1),
        ("read", "ECONNRESET"): _reset,
        ("connect", "ECONNREFUSED"): _refused,
        ("connect", "ENOENT"): lambda: _connect_unix(absent),
        ("bind", "EADDRINUSE"): _address_in_use,
        ("mkdir", "EEXIST"): lambda: os.mkdir(full),
        ("mkdir", "ENOENT"): lambda: os.mkdir(absent + "/x"),
        ("mkdir", "ENOTDIR"): lambda: os.mkdir(below),
        ("rmdir", "ENOTEMPTY"): lambda: os.rmdir(full),
        ("rmdir", "ENOENT"): lambda: os.rmdir(absent),
        ("unlink", "ENOENT"): lambda: os.unlink(absent),
        ("unlink", "EISDIR"): lambda: os.unlink(full),
        ("rename", "ENOENT"): lambda: os.rename(absent, plain),
        ("rename", "ENOTEMPTY"): lambda: os.rename(_made(folder / "other"), full),
        ("rename", "EISDIR"): lambda: os.rename(plain, full),
        ("rename", "EXDEV"): lambda: os.rename(plain, "/proc/x"),
        ("link", "EEXIST"): lambda: os.link(plain, plain),
        ("link", "ENOENT"): lambda: os.link(absent, plain),
        ("link", "EXDEV"): lambda: os.link("/proc/self/status", absent),
        ("symlink", "EEXIST"): lambda: os.symlink("x", plain),
        ("chdir", "ENOENT"): lambda: os.chdir(absent),
        ("chdir", "ENOTDIR"): lambda: os.chdir(plain),
        ("chmod", "ENOENT"): lambda: os.chmod(absent, 0o600),
        ("stat", "ENOENT"): lambda: os.stat(absent),
        ("stat", "ENOTDIR"): lambda: os.stat(below),
        ("truncate", "EISDIR"): lambda: os.truncate(full, 1),
        ("dup", "EMFILE"): lambda: _limited(resource.RLIMIT_NOFILE, 3, lambda: os.dup(0)),
        ("pipe", "EMFILE"): lambda: _limited(resource.RLIMIT_NOFILE, 3, os.pipe),
        ("socket", "EMFILE"): lambda: _limited(resource.RLIMIT_NOFILE, 3, socket.socket),
        ("mmap", "ENOMEM"): lambda: _limited(resource.RLIMIT_AS, 1 << 20, lambda: mmap.mmap(-1, 1 << 30)),
        ("execve", "ENOENT"): lambda: os.execv(absent, ["x"]),
        ("execve", "EACCES"): lambda: os.execv(plain, ["x"]),
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_kernel_itself_returns_what_the_table_lists(tmp_path: Path) -> None:
    provoked = _in(tmp_path)
    assert len(provoked) >= 40
    unlisted: list[tuple[str, str]] = []
    for (name, expected), act in provoked.items():
        with pytest.raises(OSError) as failed:
            act()
        assert errno.errorcode[failed.value.errno or 0] == expected, (name, failed.value)
        fact = syscalls.get(name).find_errno(failed.value.errno or 0)
        if fact is None or fact.tier is Tier.IMPOSSIBLE:
            unlisted.append((name, expected))
    assert unlisted == []


def test_eintr_reaches_a_read_of_a_pipe_only_where_a_handler_is_installed() -> None:
    program = "import os, signal as s; s.signal(14, lambda *_: 1 / 0); s.setitimer(0, 0.05); os.read(os.pipe()[0], 1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ZeroDivisionError" in done.stderr
    assert "EINTR" in names_of("read", descriptor_kind="pipe", catches_signals=True, unrestarted=True)
    assert "EINTR" not in names_of("read", descriptor_kind="pipe")
