"""The order of a sweep, what need not be run, and that every fault ends in exactly one count. No processes."""

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from inject.observe.census import Hit
from inject.sweeps.plan import Fault
from inject.sweeps.schedule import AS_ONCE, HUNG, Record, Result, Schedule, ordered, schedule

STRUCK = Record(result=Result.STRUCK, later=5)


def fault(site: str, name: str = "EIO", nth: int = 1, *, lasting: bool = False) -> Fault:
    hit = Hit(syscall="write", site=site, nth=nth, fd=3, path=None, open_flags=1, errnos=(), startup=False)
    window = f"{nth}+" if lasting else str(nth)
    rule = f'write: site eq "{site}" then deny[{name.lower()}] when {window}'
    return Fault(hit=hit, name=name, lasting=lasting, rules=(rule,))


def grid(*sites: str, names: tuple[str, ...] = ("ENOSPC", "EIO")) -> list[Fault]:
    """As a plan has them: site by site, each lasting fault behind its single one."""
    return [fault(site, name, lasting=lasting) for site in sites for name in names for lasting in (False, True)]


def said(faults: list[Fault]) -> list[str]:
    return [f"{each.hit.site} {each.name}{'+' if each.lasting else ''}" for each in faults]


def drained(todo: Schedule, record: Record = STRUCK) -> list[Fault]:
    taken = []
    while (each := todo.take()) is not None:
        taken.append(each)
        todo.settle(each, record)
    return taken


def test_each_site_comes_once_before_any_comes_twice_and_what_lasts_comes_last() -> None:
    assert said(ordered(grid("a", "b"))) == [
        "a ENOSPC", "b ENOSPC", "a EIO", "b EIO", "a ENOSPC+", "b ENOSPC+", "a EIO+", "b EIO+",
    ]  # fmt: skip


def test_sites_that_no_earlier_sweep_tried_come_first() -> None:
    assert said(ordered(grid("a", "b", names=("EIO",)), tried={"a"})) == ["b EIO", "b EIO+", "a EIO", "a EIO+"]


def test_a_lasting_fault_after_which_nothing_came_is_skipped() -> None:
    todo = schedule(grid("a", names=("EIO",)), Counter())
    assert said(drained(todo, Record(result=Result.STRUCK, later=0))) == ["a EIO"]
    assert todo.skips == {AS_ONCE: 1}


def test_a_site_that_hung_is_not_waited_for_again_unless_nothing_was_found() -> None:
    hung = Record(result=Result.STRUCK, later=5, hung=True, findings=("0123456789ab",))
    todo = schedule(grid("a", "b"), Counter())
    assert said(drained(todo, hung)) == ["a ENOSPC", "b ENOSPC", "a EIO", "b EIO", "a ENOSPC+", "b ENOSPC+"]
    assert todo.skips == {HUNG: 2}
    patient = schedule(grid("a", "b"), Counter())
    assert len(drained(patient, Record(result=Result.STRUCK, later=5, hung=True))) == 8


def test_a_lasting_fault_waits_for_its_single_one() -> None:
    todo = schedule(grid("a", names=("EIO",)), Counter())
    single = todo.take()
    assert single is not None and not single.lasting
    taken: list[Fault | None] = []
    other = threading.Thread(target=lambda: taken.append(todo.take()))
    other.start()
    other.join(0.05)
    assert not taken
    todo.settle(single, STRUCK)
    other.join(5)
    assert taken[0] is not None and taken[0].lasting


RECORDS = st.builds(
    Record,
    result=st.sampled_from(Result),
    later=st.integers(0, 2),
    hung=st.booleans(),
    findings=st.sampled_from([(), ("0123456789ab",)]),
)


@given(st.lists(RECORDS, min_size=24, max_size=24), st.integers(0, 24), st.dictionaries(st.text(), st.integers(1, 9)))
def test_executed_skipped_and_left_are_all_that_was_planned(
    records: list[Record], stop: int, before: dict[str, int]
) -> None:
    todo = schedule(grid("a", "b", "c", names=("ENOSPC", "EIO", "EACCES", "ENOMEM")), Counter(before))
    executed = 0
    for record in records[:stop]:
        each = todo.take()
        if each is None:
            break
        todo.settle(each, record)
        executed += record.result is Result.STRUCK
    assert todo.planned == 24 + sum(before.values())
    assert todo.planned == executed + todo.skips.total() + len(todo.todo)
