from signal import Signals

from firedamp.outcome import Exited, Fatal, Frame, Killed, Outcome
from fuzz.recurrence import EAGER, SPARSEST, Recurrence, fingerprint


def crash(offset: int) -> Outcome:
    stack = (Frame(module="/lib/libc.so.6", offset=1), Frame(module="/t", offset=offset, own=True))
    return Outcome(ending=Killed(signal=6), fatals=(Fatal(signal=Signals.SIGABRT, code=0, stack=stack),))


def look(recurrence: Recurrence, offset: int, deaths: int) -> int:
    """How many of the deaths were worth a fresh run."""
    looked = 0
    for _ in range(deaths):
        if recurrence.worth(6):
            looked += 1
            recurrence.learn(6, crash(offset))
    return looked


def test_the_first_deaths_are_all_looked_at() -> None:
    assert look(Recurrence(), 1, EAGER) == EAGER


def test_the_same_death_is_sampled_more_and_more_seldom_but_never_forgotten() -> None:
    recurrence = Recurrence()
    deaths = 10_000
    looked = look(recurrence, 1, deaths)
    assert deaths / SPARSEST < looked < deaths / SPARSEST + 6 * EAGER
    assert recurrence.skipped == deaths - looked


def test_another_place_makes_it_eager_again() -> None:
    recurrence = Recurrence()
    look(recurrence, 1, 2000)
    assert look(recurrence, 1, SPARSEST) == 1  # the control: nothing new, one look
    assert look(recurrence, 2, 2 * SPARSEST) > EAGER  # seen at the first look, and from then on each is looked at


def test_causes_do_not_hide_each_other() -> None:
    recurrence = Recurrence()
    look(recurrence, 1, 2000)
    assert recurrence.worth(11)


def test_the_fingerprint_is_the_targets_own_frames() -> None:
    assert fingerprint(crash(1)) == fingerprint(crash(1)) != fingerprint(crash(2))
    assert fingerprint(Outcome(ending=Exited(status=1))) != fingerprint(Outcome(ending=Exited(status=2)))
