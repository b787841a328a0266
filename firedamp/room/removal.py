"""Remove what a hostile program left behind: folders without permissions, nests deeper than PATH_MAX, odd names."""

# ruff: noqa: PTH101, PTH108, PTH106, PTH208
# `os` and not pathlib: names of any bytes, descriptors, and thousands of calls for each reset.

import os
import stat

ENTER = stat.S_IRWXU
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def unlock(path: str) -> None:
    """Give the owner all rights on a folder. Through a descriptor, so that a link in its place is never followed."""
    held = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.chmod(f"/proc/self/fd/{held}", ENTER)
    finally:
        os.close(held)


def remove(path: str, trash: str) -> None:
    """Remove a file or a whole folder; `trash` is an empty folder on the same file system.

    Subfolders are first moved into `trash`, side by side: no path grows, no recursion, whatever the depth.
    """
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    waiting = [path]
    moved = 0
    while waiting:
        folder = waiting.pop()
        unlock(folder)
        descriptor = os.open(folder, FOLDER_FLAGS)
        try:
            for name in os.listdir(descriptor):
                if not stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=descriptor)
                    continue
                place = f"{trash}/{moved}"
                moved += 1
                _move(name, descriptor, folder, place)
                waiting.append(place)
        finally:
            os.close(descriptor)
        os.rmdir(folder)


def _move(name: str, descriptor: int, folder: str, place: str) -> None:
    try:
        os.rename(name, place, src_dir_fd=descriptor)
    except PermissionError:  # to change its ".." we need write permission on the folder itself
        unlock(f"{folder}/{name}")
        os.rename(name, place, src_dir_fd=descriptor)


def empty(folder: str, trash: str) -> None:
    mode = os.lstat(folder).st_mode
    if not stat.S_ISDIR(mode) or mode & ENTER != ENTER:  # seldom, and asked before each run
        unlock(folder)
    for name in os.listdir(folder):
        remove(f"{folder}/{name}", trash)
