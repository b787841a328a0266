"""A room goes back to the very same bytes, whatever a program did in it, and is gone when it is left."""

import mmap
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp.errors import EnvironmentFailure, UsageError
from firedamp.outcome import EntryKind
from firedamp.room import Room, inventory

LONG_AGO_NS = 1_234_567_890_123_456_789
Picture = dict[str, tuple[object, ...]]


def picture(root: Path) -> Picture:
    """Everything about a folder that a program could see, by other means than the room's own."""
    found: Picture = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files, "."]:
            path = Path(folder, name)
            status = path.lstat()
            content: object = None
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = path.read_bytes()
            key = os.path.relpath(path, root)
            found[key] = (oct(status.st_mode), status.st_mtime_ns, status.st_nlink, content)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a.txt").write_bytes(b"first\n" * 1000)
    (root / "sub" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "sub" / "tool").chmod(0o755)
    (root / "sub" / "deep" / "leaf").write_bytes(b"")
    (root / "link").symlink_to("sub/tool")
    (root / "dangling").symlink_to("/nowhere/\udcff")
    os.mkfifo(root / "pipe", 0o640)
    (root / "results").mkdir()
    (root / "results" / "huge").write_bytes(b"not copied")
    (root / b"odd\xff\n".decode("utf-8", "surrogateescape")).write_bytes(b"odd")
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)
    os.utime(root, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return root


@pytest.fixture(params=["tmpfs", "disk"])
def room(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[Room]:
    with Room(source, None if request.param == "tmpfs" else tmp_path / "scratch") as made:
        yield made


def test_copy_is_the_source_without_what_is_excluded(source: Path, room: Room) -> None:
    expected = {name: facts for name, facts in picture(source).items() if not name.startswith("results")}
    found = picture(room.path)
    for key in (".",):  # the number of links counts subfolders
        expected.pop(key), found.pop(key)
    assert found == expected
    assert room.copy_size.files == 10
    assert list(room.path.parent.iterdir()) != []
    assert sorted(path.name for path in room.path.parent.iterdir()) == ["tmp", "work"]


def test_a_folder_of_results_is_no_part_of_the_source_whatever_its_name(tmp_path: Path) -> None:
    for folder in ("out", "deep/out", "mine"):
        (tmp_path / "source" / folder).mkdir(parents=True)
        (tmp_path / "source" / folder / "big").touch()
    for folder in ("out", "deep/out"):
        (tmp_path / "source" / folder / "findings.db").touch()
    with Room(tmp_path / "source") as room:
        assert {str(path.relative_to(room.path)) for path in room.path.rglob("*")} == {"deep", "mine", "mine/big"}


def vandalize(root: Path) -> None:
    (root / "a.txt").write_bytes(b"x")
    (root / "sub" / "tool").unlink()
    (root / "sub" / "deep" / "leaf").unlink()
    (root / "sub" / "deep").rmdir()
    (root / "sub" / "deep").symlink_to("/etc")
    (root / "link").unlink()
    (root / "link").mkdir(mode=0o000)
    (root / "empty" / "full").write_bytes(b"now")
    (root / "empty").chmod(0o000)
    (root / "pipe").unlink()
    (root / "pipe").write_bytes(b"no pipe")
    os.mkfifo(root / "other pipe")
    with socket.socket(socket.AF_UNIX) as endpoint:
        held = os.open(root, os.O_PATH)  # sun_path has only 108 bytes
        endpoint.bind(f"/proc/self/fd/{held}/socket")
        os.close(held)
    os.link(root / "a.txt", root / "second name")
    (root / "results").symlink_to("/etc/passwd")


def test_reset_undoes_everything(room: Room) -> None:
    before = picture(room.path)
    for _ in range(3):
        vandalize(room.path)
        (room.tmp / "leftover").mkdir()
        assert picture(room.path) != before
        room.reset()
        assert picture(room.path) == before
        assert list(room.tmp.iterdir()) == []


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o777])
def test_reset_after_the_working_folder_itself_was_changed(room: Room, mode: int) -> None:
    before = picture(room.path)
    room.path.chmod(mode)
    room.reset()
    assert picture(room.path) == before


def test_reset_after_the_working_folder_was_moved_away(room: Room) -> None:
    before = picture(room.path)
    room.path.rename(room.tmp / "elsewhere")
    room.path.symlink_to("/etc")
    room.reset()
    assert picture(room.path) == before


def test_a_change_in_the_same_clock_tick_is_seen(room: Room) -> None:
    """Same size, and mtime put back at once: only the bytes differ."""
    before = picture(room.path)
    for _ in range(20):
        target = room.path / "a.txt"
        target.write_bytes(b"other\n" * 1000)
        os.utime(target, ns=(LONG_AGO_NS, LONG_AGO_NS))
        room.reset()
        assert picture(room.path) == before


def test_a_write_through_a_mapping_that_was_read_first_is_seen(room: Room) -> None:
    """On tmpfs it changes neither mtime nor ctime."""
    room.reset()
    time.sleep(0.02)
    room.reset()  # by now every fingerprint is older than the clock tick
    before = picture(room.path)
    room.reset()
    with (room.path / "a.txt").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        assert mapping[0] == ord("f")
        mapping[0] = ord("F")
    assert picture(room.path) != before
    room.reset()
    assert picture(room.path) == before


@pytest.mark.parametrize(("name", "seen"), [("deeper", 400), ("deeper" + 249 * "-", 10)])
def test_a_nest_deeper_than_any_path_is_removed(room: Room, name: str, seen: int) -> None:
    before = picture(room.path)
    script = f"import os\nfor _ in range(3000): os.mkdir('{name}'); os.chdir('{name}')\n"
    subprocess.run([sys.executable, "-c", script], cwd=room.path, check=True)
    assert len(room.tree()) > seen
    room.reset()
    assert picture(room.path) == before


def test_links_are_never_followed_out_of_the_room(room: Room, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o750)
    (precious / "file").write_bytes(b"keep")
    (room.path / "out").symlink_to(precious)
    (room.path / "sub" / "tool").unlink()
    (room.path / "sub" / "tool").symlink_to(precious / "file")
    (room.tmp / "out").symlink_to(precious)
    room.tree()
    room.reset()
    assert (precious / "file").read_bytes() == b"keep"
    assert stat.S_IMODE(precious.stat().st_mode) == 0o750


def test_a_link_in_place_of_the_temporary_folder_is_not_emptied(room: Room, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"keep")
    room.tmp.rmdir()
    room.tmp.symlink_to(precious)
    with pytest.raises(EnvironmentFailure, match="cannot be put back"):
        room.reset()
    assert (precious / "file").read_bytes() == b"keep"


def test_tree_tells_what_lies_there(room: Room) -> None:
    tree = room.tree()
    assert tree["sub/tool"].mode == 0o755
    assert tree["sub/tool"].digest == "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"
    assert tree["link"].kind is EntryKind.LINK
    assert tree["link"].digest == "sub/tool"
    assert tree["pipe"].kind is EntryKind.OTHER
    assert tree["empty"].kind is EntryKind.FOLDER
    assert tree["a.txt"].size == 6000
    (room.path / "a.txt").write_bytes(b"FIRST\n" * 1000)
    changed = room.tree()
    assert {name for name in tree if tree[name] != changed[name]} == {"a.txt"}
    room.reset()
    assert room.tree() == tree


def test_tree_reads_what_denies_reading_and_leaves_it_so(room: Room) -> None:
    (room.path / "sub" / "tool").chmod(0o000)
    (room.path / "sub").chmod(0o000)
    tree = room.tree()
    assert tree["sub"].mode == 0
    assert tree["sub/tool"].mode == 0
    assert len(tree["sub/tool"].digest) == 64
    assert stat.S_IMODE((room.path / "sub").stat().st_mode) == 0


def test_adopt_makes_the_present_state_the_start(room: Room) -> None:
    (room.path / "made by setup").write_bytes(b"once")
    (room.path / "a.txt").unlink()
    (room.path / "shut").mkdir(mode=0o000)
    room.adopt()
    before = picture(room.path)
    assert "a.txt" not in before
    vandalize_again = room.path / "made by setup"
    vandalize_again.write_bytes(b"twice")
    (room.path / "shut").chmod(0o700)
    room.reset()
    assert picture(room.path) == before


def test_a_source_that_is_too_large_is_refused_with_a_remedy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"more than 0 MiB.*--workdir"), Room(source, limit_bytes=100):
        pass
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    monkeypatch.setattr(inventory, "ENTRY_LIMIT", 200)
    for number in range(201):
        os.close(os.open(crowd / str(number), os.O_CREAT))
    with pytest.raises(UsageError, match=r"more than 200 files.*--workdir"), Room(crowd):
        pass
    with pytest.raises(UsageError, match="is no folder"), Room(source / "a.txt"):
        pass


def test_nothing_stays_when_the_room_is_left(source: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with Room(source, scratch) as room:
        vandalize(room.path)
        assert len(list(scratch.iterdir())) == 1
    assert list(scratch.iterdir()) == []


def test_a_scratch_folder_inside_the_source_is_not_copied_into_itself(source: Path) -> None:
    with Room(source, source / "scratch"), Room(source, source / "scratch") as second:
        assert list((second.path / "scratch").iterdir()) == []


def test_a_room_of_a_killed_process_is_swept_and_one_in_use_is_not(source: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom firedamp.room import Room\n"
        "with Room(Path(sys.argv[1]), Path(sys.argv[2])) as room:\n print(room.path, flush=True)\n time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, source, scratch], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        left = Path(os.fsdecode(owner.stdout.readline().rstrip()))
        with Room(source, scratch):
            assert left.exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert left.exists()
        with Room(source, scratch) as room:
            assert not left.exists()
            assert room.path.exists()


def test_an_empty_room() -> None:
    with Room(None) as room:
        (room.path / "new").write_bytes(b"")
        room.reset()
        assert room.tree() == {}


@pytest.mark.needs("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give its privileges away")
def test_without_the_privileges_of_root(tmp_path: Path) -> None:
    """The tests of this file that change modes, where the kernel minds the modes."""
    wanted = "undoes or itself_was or denies or adopt or deeper or stays"
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "--basetemp", tmp_path / "base", __file__, "-k", wanted),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
