"""The database of findings: what `record` returned survives anything, and what cannot be read is said with a remedy."""

import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firedamp.errors import StoreError, UsageError
from firedamp.finding import Detection, Finding, Severity, Standing, State
from firedamp.outcome import Frame
from firedamp.store import Store

TOGETHER = 4
TEXT = st.text(st.characters(), max_size=10)  # lone surrogates too: file names are not always UTF-8
NUMBER = st.integers(min_value=0, max_value=1 << 63)
FRAMES = st.builds(
    Frame,
    module=TEXT,
    offset=NUMBER,
    function=st.none() | TEXT,
    function_offset=st.none() | NUMBER,
    file=st.none() | TEXT,
    line=st.none() | NUMBER,
    own=st.booleans(),
)
DETECTIONS = st.builds(
    Detection,
    guard=TEXT,
    kind=TEXT,
    cwe=NUMBER,
    severity=st.sampled_from(Severity),
    place=st.lists(TEXT, max_size=3).map(tuple),
    frame=st.none() | FRAMES,
    standing=st.sampled_from(Standing),
    message=TEXT,
    evidence=st.lists(TEXT, max_size=3).map(tuple),
    stack=st.lists(FRAMES, max_size=3).map(tuple),
)


def detection(place: str = "f+1", kind: str = "stack-smash") -> Detection:
    return Detection(guard="g", kind=kind, cwe=121, severity=Severity.HIGH, place=(place,))


def record(store: Store, place: str = "f+1", confirmed: tuple[int, int] | None = (3, 3)) -> tuple[Finding, bool]:
    return store.record(
        "t", "fuzz", detection(place), reproducer=store.path.parent / "t" / "input", confirmed=confirmed
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(detections=st.lists(DETECTIONS, max_size=3))
def test_a_detection_comes_back_as_it_was(tmp_path: Path, detections: list[Detection]) -> None:
    path = tmp_path / "findings.db"
    path.unlink(missing_ok=True)
    with Store(path) as store:
        ids = [store.record("t", "fuzz", each, confirmed=(1, 1))[0].id for each in detections]
    with Store(path) as store:
        for name, each in zip(ids, detections, strict=True):
            kept = store.get(name).detection
            assert kept.signature("t") == each.signature("t")
        if len(set(ids)) == len(ids):
            assert [store.get(name).detection for name in ids] == detections


def test_a_second_sighting_counts_and_is_no_news(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        first, fresh = record(store)
        again, stale = record(store, confirmed=None)
    assert (first.count, again.count, fresh, stale) == (1, 2, True, False)
    assert again.confirmed == (3, 3)
    assert again.first_seen == first.first_seen <= first.last_seen < again.last_seen


def test_new_in_the_run_that_found_it_known_in_later_ones(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        store.begin("t")
        finding, _ = record(store)
        assert store.get(finding.id).state is State.NEW
        store.begin("another target")
        assert store.get(finding.id).state is State.NEW
    with Store(tmp_path / "f.db") as store:
        store.begin("t")
        assert store.get(finding.id).state is State.KNOWN
        again, fresh = record(store)
        assert (again.state, fresh) == (State.KNOWN, False)


def test_unconfirmed_until_it_comes_back(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        finding, fresh = record(store, confirmed=(0, 3))
        assert (finding.state, finding.confirmed, fresh) == (State.UNCONFIRMED, (0, 3), False)
        again, fresh = record(store, confirmed=(0, 3))
        assert (again.state, fresh) == (State.UNCONFIRMED, False)
        again, fresh = record(store, confirmed=(2, 3))
        assert (again.state, again.confirmed, fresh) == (State.NEW, (2, 3), True)


def test_what_was_fixed_and_comes_back_is_news(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        finding, _ = record(store)
        assert store.set_state(finding.id, State.FIXED).state is State.FIXED
        store.begin("t")
        assert store.get(finding.id).state is State.FIXED
        again, fresh = record(store)
        assert (again.state, fresh) == (State.NEW, True)


def test_confirm_replaces_the_figures(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        finding, _ = record(store)
        assert store.confirm(finding.id, 1, 5).confirmed == (1, 5)
        lost = store.confirm(finding.id, 0, 5)
        assert (lost.confirmed, lost.state) == ((0, 5), State.UNCONFIRMED)


def test_the_beginning_of_an_id_is_enough_when_it_is_the_only_one(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        names = [record(store, f"f+{number}")[0].id for number in range(400)]
        assert store.get(names[7][:11]).id == names[7]
        prefix = next(each[:3] for each in names if sum(name.startswith(each[:3]) for name in names) > 1)
        with pytest.raises(UsageError, match="ambiguous"):
            store.get(prefix)
        wrong = names[0][:-1] + ("0" if names[0][-1] != "0" else "1")
        with pytest.raises(UsageError, match=rf"not known.*did you mean {names[0]}\?"):
            store.get(wrong)
        with pytest.raises(UsageError, match="not known"):
            store.get("")


def test_findings_are_listed_by_target(tmp_path: Path) -> None:
    with Store(tmp_path / "f.db") as store:
        assert store.findings() == ()
        store.record("b", "fuzz", detection("x"), confirmed=(1, 1))
        store.record("a", "inject", detection("x"), confirmed=(1, 1))
        assert [each.target for each in store.findings()] == ["a", "b"]
        assert [each.engine for each in store.findings("a")] == ["inject"]


def test_the_folder_may_move(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with Store(tmp_path / "old" / "f.db") as store:
        finding, _ = record(store)
    assert finding.reproducer == str(tmp_path / "old" / "t" / "input")
    (tmp_path / "old").rename(tmp_path / "new")
    with Store(tmp_path / "new" / "f.db") as store:
        assert store.get(finding.id).reproducer == str(tmp_path / "new" / "t" / "input")


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with Store(path) as store:
        record(store)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match=r"newer firedamp \(schema 99.*upgrade"), Store(path):
        pass


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_damaged_file_is_refused_with_a_remedy(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "f.db"
    with Store(path) as store:
        for number in range(200):
            record(store, f"f+{number}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)] + b"no database" * 1000)
    with pytest.raises(StoreError, match="move it away"), Store(path) as store:
        store.findings()


def test_a_locked_file_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firedamp.store.BUSY_S", 0.1)
    path = tmp_path / "f.db"
    with Store(path) as store, Store(path) as other:
        store._database.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process held it"):
            record(other)
        store._database.execute("ROLLBACK")
        assert record(other)[1]


def test_a_folder_that_cannot_be_made_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StoreError, OSError)), Store(tmp_path / "file" / "f.db"):
        pass


WRITER = """
import sys
from pathlib import Path
from firedamp.finding import Detection, Severity
from firedamp.store import Store
with Store(Path(sys.argv[1])) as store:
    for number in range(10_000):
        each = Detection(guard="g", kind="k", cwe=1, severity=Severity.LOW, place=(f"f+{number}",))
        finding, _ = store.record("t", "fuzz", each, confirmed=(1, 1))
        print(finding.id, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_was_said_to_be_kept_survives_kill_9(tmp_path: Path, after: int) -> None:
    path = tmp_path / "f.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(after)]
    os.kill(writer.pid, signal.SIGKILL)
    said += writer.stdout.read().split()
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    with Store(path) as store:
        kept = {each.id for each in store.findings()}
        assert set(said) <= kept
        assert len(kept) <= len(said) + 1
        assert record(store)[1]


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    short = WRITER.replace("10_000", "50")
    writers = [subprocess.Popen([sys.executable, "-c", short, str(path)], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    with Store(path) as store:
        assert {each.count for each in store.findings()} == {2}
        assert len(store.findings()) == 50


def obey_modes() -> None:
    """Drop CAP_DAC_OVERRIDE across execve, so that a read-only folder binds root too; others have none."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP in linux/prctl.h


def test_what_cannot_be_written_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / "findings.db"
    with Store(path) as store:
        finding, _ = record(store)
    code = (
        "import sys; from pathlib import Path; from firedamp.store import Store\n"
        "with Store(Path(sys.argv[1])) as store:\n"
        "    print(*[each.id for each in store.findings()], flush=True)\n"
        "    store.begin('t')\n"
    )
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=False, preexec_fn=obey_modes
        )
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout == f"{finding.id}\n", done.stderr
    assert "check the folder's permissions" in done.stderr


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Targets of one campaign do, each in its own thread."""

    def opened(number: int) -> bool:
        barrier.wait()
        with Store(tmp_path / f"{number // TOGETHER}" / "findings.db") as store:
            return store.find("none") is None

    barrier = Barrier(TOGETHER)
    with ThreadPoolExecutor(TOGETHER) as pool:
        assert all(pool.map(opened, range(20 * TOGETHER)))
