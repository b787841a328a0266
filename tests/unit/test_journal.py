"""The journal of a sweep: what was written is read back, whatever a kill left of the last line."""

import resource
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedamp.errors import EnvironmentFailure, UsageError
from firedamp.target import Target, TargetKind
from inject.observe.census import Hit
from inject.sweeps.journal import Journal, Subject, key, line_of, read, subject
from inject.sweeps.plan import Fault
from inject.sweeps.schedule import Record, Result, schedule

SUBJECT = Subject(command="0123abcd", parts={"program file": "1", "working folder": "2"})


def fault(site: str, name: str = "EIO", *, lasting: bool = False) -> Fault:
    hit = Hit(syscall="read", site=site, nth=1, fd=3, path=None, open_flags=0, errnos=(), startup=False)
    rule = f'read: site eq "{site}" then deny[{name.lower()}] when 1{"+" if lasting else ""}'
    return Fault(hit=hit, name=name, lasting=lasting, rules=(rule,))


FAULTS = st.builds(fault, st.from_regex(r"[0-9a-f]{8}", fullmatch=True), lasting=st.booleans())
RECORDS = st.builds(
    Record,
    result=st.sampled_from(Result),
    later=st.integers(0, 10**6),
    hung=st.booleans(),
    handled=st.booleans(),
    findings=st.lists(st.from_regex(r"[0-9a-f]{12}", fullmatch=True), max_size=3).map(tuple),
)


def written(pairs: list[tuple[Fault, Record]], folder: Path) -> bytes:
    with Journal(folder, SUBJECT, resume=False) as journal:
        for each, record in pairs:
            journal.append(each, record)
    return journal.path.read_bytes()


@given(st.lists(st.tuples(FAULTS, RECORDS), max_size=8), st.data())
def test_whatever_a_kill_leaves_the_whole_lines_are_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Fault, Record]], data: st.DataObject
) -> None:
    content = written(pairs, tmp_path_factory.mktemp("journal"))
    contents = read(content.splitlines())
    assert contents.records == {key(each): record for each, record in pairs}
    assert contents.tried == {each.hit.site for each, _ in pairs} and contents.parts == SUBJECT.parts
    cut = content[: data.draw(st.integers(0, len(content)))]
    head, _, tail = cut.rpartition(b"\n")
    whole = len(head.splitlines()) - 1 + tail.endswith(b"}")  # without the first line
    expected = {key(each): record for each, record in pairs[: max(0, whole)]}
    assert read(cut.splitlines()).records == expected


def test_an_earlier_sweep_is_gone_on_with_and_its_damaged_tail_is_closed(tmp_path: Path) -> None:
    first, second = fault("aaaaaaaa"), fault("bbbbbbbb")
    struck = Record(result=Result.STRUCK, later=3)
    written([(first, struck)], tmp_path)
    path = tmp_path / SUBJECT.file_name
    path.write_bytes(path.read_bytes() + b'{"fault": "12')
    with Journal(tmp_path, SUBJECT, resume=True) as journal:
        assert journal.known == {key(first): struck} and journal.tried == {"aaaaaaaa"}
        assert journal.note == "goes on: 1 run taken over from an earlier sweep"
        journal.append(second, struck)
    assert read(path.read_bytes().splitlines()).records.keys() == {key(first), key(second)}


def test_what_has_changed_since_is_said_and_its_runs_are_not_taken_over(tmp_path: Path) -> None:
    written([(fault("aaaaaaaa"), Record(result=Result.STRUCK))], tmp_path)
    changed = Subject(command=SUBJECT.command, parts={**SUBJECT.parts, "program file": "other"})
    with Journal(tmp_path, changed, resume=True) as journal:
        assert not journal.known and journal.tried == {"aaaaaaaa"}  # known to have been tried, all the same
        assert "begins anew" in journal.note and journal.note.endswith("changed since: program file")
    with Journal(tmp_path, Subject(command="other", parts=SUBJECT.parts), resume=True) as journal:
        assert "there is no earlier sweep of this command" in journal.note


def test_two_sweeps_of_one_command_do_not_write_into_one_another(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, SUBJECT, resume=False),
        pytest.raises(UsageError, match="another sweep of this command"),
        Journal(tmp_path, SUBJECT, resume=False),
    ):
        pass


def test_a_full_disk_is_an_error_with_a_remedy_and_what_was_written_stays(tmp_path: Path) -> None:
    struck = Record(result=Result.STRUCK)
    written([(fault("aaaaaaaa"), struck)], tmp_path)
    size = (tmp_path / SUBJECT.file_name).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Journal(tmp_path, SUBJECT, resume=True) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
        try:
            with pytest.raises(EnvironmentFailure, match="--resume"):
                journal.append(fault("bbbbbbbb"), struck)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
    with Journal(tmp_path, SUBJECT, resume=True) as journal:
        assert set(journal.known) == {key(fault("aaaaaaaa"))}


def test_a_subject_follows_program_folder_and_preparation(tmp_path: Path) -> None:
    work, results, program = tmp_path / "work", tmp_path / "work" / "out", tmp_path / "tool"
    results.mkdir(parents=True)
    program.write_text("one")
    target = Target(name="t", kind=TargetKind.COMMAND, root=work, command=("tool",))
    before = subject(target, str(program), results)
    (results / "ours").write_text("x")
    assert subject(target, str(program), results) == before
    program.write_text("two")
    (work / "in").write_text("x")
    after = subject(target, str(program), results)
    assert after.changed(before.parts) == ["program file", "working folder"] and after.file_name == before.file_name


def test_what_is_taken_over_is_counted_and_still_tells_what_need_not_be_run() -> None:
    single, lasting, other = fault("aaaaaaaa"), fault("aaaaaaaa", lasting=True), fault("bbbbbbbb")
    todo = schedule([single, lasting, other], Counter({"start-up": 4}))
    missed = Record(result=Result.NOT_REACHED)
    known = {key(single): Record(result=Result.STRUCK, later=0), key(other): missed}
    todo.take_over(lambda each: known.get(key(each)))
    assert todo.take() is None
    assert (todo.planned, todo.taken_over, todo.skips.total()) == (7, 1, 6)


def test_a_line_holds_what_matters_and_no_more() -> None:
    line = line_of(fault("aaaaaaaa"), Record(result=Result.STRUCK))
    assert line == {"fault": key(fault("aaaaaaaa")), "site": "aaaaaaaa", "result": "struck"}
