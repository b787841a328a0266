"""The table of system calls: numbers, strace's classes, and which errnos are real where."""

import errno
import os

import pytest

from inject.linux import syscalls
from inject.linux.syscalls import CallFacts, Kind, Tier

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
    assert names_of("brk") == names_of("mmap") == names_of("munmap", splits=True) == {"ENOMEM"}
    assert not names_of("munmap") and not names_of("read", descriptor_kind="pipe")
    assert "ETIMEDOUT" in names_of("connect", family="inet") and "ETIMEDOUT" not in names_of("connect", family="unix")
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
