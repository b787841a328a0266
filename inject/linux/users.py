"""Users and groups: by name or number, of a process, and what a person may do to a file by its mode and owner.

Judged by stat(2) alone, as path_resolution(7) and inode(7) say; ACLs, capabilities and read-only mounts are not seen.
"""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

ROOT: Final = 0
READ, WRITE, EXECUTE = 4, 2, 1
STICKY: Final = 0o1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    uid: int
    gid: int
    groups: frozenset[int]  # with gid

    def can(self, path: str, wanted: int) -> bool:
        """Has the file, links followed, all of these permissions for this person? False where there is none."""
        found = status(path)
        if found is None:
            return False
        if self.uid == ROOT:
            return wanted & EXECUTE == 0 or bool(found.st_mode & 0o111)
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        return found.st_mode >> shift & wanted == wanted

    def owns(self, path: str) -> bool:
        found = status(path)
        return found is not None and self.uid in (ROOT, found.st_uid)

    def reaches(self, path: str) -> bool:
        """May every folder on the way be searched? On the way as it was named, and to where its links lead."""
        named, real = PurePosixPath(path), PurePosixPath(os.path.realpath(path))
        folders = {str(folder) for folder in (*named.parents, *real.parents)}
        return self.uid == ROOT or all(self.can(folder, EXECUTE) for folder in folders if status(folder))

    def changes(self, path: str) -> bool:
        """May the name be made, or removed, in its folder? In a sticky one only by the owner of either."""
        folder = os.path.dirname(path)  # noqa: PTH120 - a text, never looked up
        if not self.can(folder, WRITE | EXECUTE):
            return False
        found = status(folder)
        sticky = found is not None and bool(found.st_mode & STICKY) and os.path.lexists(path)
        return not sticky or self.owns(folder) or self.uid in (ROOT, os.lstat(path).st_uid)


def status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - also of /proc/PID/fd links, which a Path would resolve by text
    except (OSError, ValueError):
        return None


def find_user(name: str) -> int | None:
    """root or 0 -> 0."""
    if name.isascii() and name.isdigit():
        return _number(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def find_group(name: str) -> int | None:
    if name.isascii() and name.isdigit():
        return _number(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _number(text: str) -> int | None:
    """-1 as an unsigned number means nobody at all, setresuid(2)."""
    return int(text) if len(text) <= 10 and int(text) < 0xFFFFFFFF else None


def person(user: str, group: str | None) -> Person:
    """Of names that find_user and find_group know. A group of its own takes the place of the user's first one."""
    uid = find_user(user)
    assert uid is not None, user
    try:
        entry = pwd.getpwuid(uid)
        gid, groups = entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
    except KeyError:
        gid, groups = uid, []
    if group is not None:
        named = find_group(group)
        assert named is not None, group
        groups, gid = [each for each in groups if each != gid], named
    return Person(uid=uid, gid=gid, groups=frozenset({gid, *groups}))


def real_ids(pid: int) -> tuple[int, int] | None:
    """The real user and group of a process (systrace compared those, too); None when it is gone."""
    found: dict[bytes, int] = {}
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                key, _, values = line.partition(b":")
                if key in (b"Uid", b"Gid"):
                    found[key] = int(values.split()[0])
    except (OSError, ValueError):
        return None
    return (found[b"Uid"], found[b"Gid"]) if len(found) == 2 else None


def compares(number: int, comparison: str, wanted: int) -> bool:
    """Of `, if user < 1000`."""
    return {"=": number == wanted, "!=": number != wanted, "<": number < wanted, ">": number > wanted}[comparison]
