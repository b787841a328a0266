"""What a copy did to files is undone, as far as the original can see it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firedamp.trace.shared_state import Shared, Unrestorable

LONG_AGO_NS = 1_234_567_890_123_456_789


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "shadows").mkdir()
    root = tmp_path / "work"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"first")
    (root / "b").write_bytes(b"second")
    (root / "b").chmod(0o640)
    (root / "sub" / "c").write_bytes(b"third")
    (root / "link").symlink_to("a")
    os.mkfifo(root / "pipe")
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)
    os.utime(root, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return root


@contextmanager
def holder(*descriptors: int, cwd: Path = Path("/")) -> Iterator[int]:
    """A process that has these open, and the same descriptions as we."""
    command = [sys.executable, "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, pass_fds=descriptors, cwd=cwd, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.fixture
def shared(work: Path) -> Shared:
    return Shared((str(work),), str(work.parent / "shadows"))


def picture(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        content: object = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (oct(status.st_mode), status.st_mtime_ns, status.st_nlink, content)
    return found


def delete_all(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def swap(root: Path) -> None:
    (root / "a").rename(root / "t")
    (root / "b").rename(root / "a")
    (root / "t").rename(root / "b")


def make_kinds_change_places(root: Path) -> None:
    (root / "a").unlink()
    (root / "a").mkdir()
    (root / "a" / "inside").write_bytes(b"x")
    (root / "sub" / "c").rename(root / "sub2")
    (root / "sub").rmdir()
    (root / "sub").write_bytes(b"a file now")


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda root: None,
    "overwritten": lambda root: (root / "a").write_bytes(b"other"),
    "cut": lambda root: (root / "b").write_bytes(b""),
    "mode": lambda root: (root / "b").chmod(0),
    "deleted": delete_all,
    "moved": lambda root: (root / "a").rename(root / "sub" / "c"),
    "swapped": swap,
    "linked": lambda root: (root / "further").hardlink_to(root / "a"),
    "another link": lambda root: [(root / "link").unlink(), (root / "link").symlink_to("b")],
    "folder moved": lambda root: (root / "sub").rename(root / "elsewhere"),
    "kinds": make_kinds_change_places,
    "more": lambda root: [(root / "new").mkdir(), (root / "new" / "x").write_bytes(b"x")],
}


@pytest.fixture
def opened(work: Path) -> Iterator[int]:
    descriptor = os.open(work / "b", os.O_RDWR)
    os.lseek(descriptor, 2, os.SEEK_SET)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_is_as_it_was(work: Path, shared: Shared, opened: int, change: Callable[[Path], object]) -> None:
    before, number = picture(work), (work / "b").stat().st_ino
    with holder(opened) as pid, shared.held(pid):
        for _ in range(2):
            shared.step_aside()
            change(work)
            os.lseek(opened, 0, os.SEEK_END)
            os.write(opened, b" and more")
            shared.put_back()
            assert picture(work) == before
    assert (work / "b").stat().st_ino == number == os.fstat(opened).st_ino
    assert Path(f"/proc/self/fd/{opened}").readlink() == work / "b", "it was never deleted"
    assert os.read(opened, 10) == b"cond"
    assert list((work.parent / "shadows").iterdir()) == []


def test_a_file_changed_in_the_same_tick_and_of_the_same_size_is_seen(work: Path, shared: Shared) -> None:
    with holder() as pid:
        for _ in range(50):
            (work / "a").write_bytes(b"FIRST")
            with shared.held(pid):
                (work / "a").write_bytes(b"LATER")
                shared.put_back()
            assert (work / "a").read_bytes() == b"FIRST"


def test_the_content_of_a_file_without_a_name_comes_back(work: Path, shared: Shared) -> None:
    descriptor = os.memfd_create("captured")
    try:
        os.write(descriptor, b"so far")
        with holder(descriptor) as pid, shared.held(pid):
            os.write(descriptor, b", and on")
            shared.put_back()
            assert os.pread(descriptor, 100, 0) == b"so far"
            os.ftruncate(descriptor, 0)
            shared.put_back()
            os.write(descriptor, b"; then")
        assert os.pread(descriptor, 100, 0) == b"so far; then"
    finally:
        os.close(descriptor)


def test_a_name_reads_as_if_nothing_had_stepped_aside(work: Path, shared: Shared, opened: int) -> None:
    with holder(opened) as pid, shared.held(pid):
        shared.step_aside()
        moved = os.readlink(f"/proc/self/fd/{opened}")  # noqa: PTH115
        assert moved != str(work / "b")
        assert shared.true_path(moved) == str(work / "b")
        (work / "b").unlink()
        assert shared.true_path(moved) == f"{work / 'b'} (deleted)"
        assert shared.true_path(str(work / "a")) == str(work / "a")
        assert shared.true_path(None) is None
        shared.put_back()


def test_a_lost_working_folder_is_said(work: Path, shared: Shared) -> None:
    """A folder has one name and cannot step aside."""
    with holder(cwd=work / "sub") as pid, shared.held(pid):
        (work / "sub" / "c").unlink()
        (work / "sub").rmdir()
        with pytest.raises(Unrestorable, match="lost its name"):
            shared.put_back()


def test_too_much_is_refused(work: Path, shared: Shared) -> None:
    with (work / "large").open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(Unrestorable, match="32 MiB"), holder() as pid, shared.held(pid):
        pass
