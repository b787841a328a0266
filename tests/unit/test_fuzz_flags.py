from pathlib import Path

import pytest

from firedamp.errors import UsageError
from firedamp.target import Limits
from fuzz import flags


@pytest.mark.parametrize("name", sorted(flags.REFUSED))
def test_a_flag_that_firedamp_does_itself_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(UsageError) as refusal:
        flags.check((f"-{name}=1",))
    assert f"-{name}=1" in str(refusal.value)
    assert flags.REFUSED[name] in str(refusal.value)


@pytest.mark.parametrize("word", ["corpus", "-only_ascii", "/tmp/seeds", "use_value_profile=1"])
def test_what_is_no_flag_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="libFuzzer flag"):
        flags.check((word,))


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("-only_asci=1", "libFuzzer has no flag -only_asci; did you mean only_ascii?"),
        ("--use_value_profil=1", "did you mean use_value_profile?"),
        ("--only_ascii=1", "two dashes; write -only_ascii=1"),
        ("-frobnicate=1", "libFuzzer has no flag -frobnicate; see its manual"),
    ],
)
def test_a_flag_that_libfuzzer_does_not_know_is_refused_with_the_nearest_one(word: str, answer: str) -> None:
    with pytest.raises(UsageError) as refusal:
        flags.check((word,))
    assert answer in str(refusal.value)


def test_what_firedamp_refuses_exists() -> None:
    assert flags.REFUSED.keys() <= flags.KNOWN


def test_other_flags_pass_verbatim_and_after_ours() -> None:
    extra = ("-only_ascii=1", "-use_value_profile=1")
    flags.check(extra)
    line = flags.CommandLine(
        corpus=Path("/c"), seeds=Path("/s"), max_len=64, timeout_s=5, rss_limit_mb=100, extra=extra
    )
    argv = line.argv(seed=7, runs=None)
    assert argv.index("-only_ascii=1") > argv.index("-timeout=5")
    assert argv[-2:] == ("/c", "/s")
    assert not any(word.startswith("-runs=") for word in argv)
    assert "-runs=9" in line.argv(seed=7, runs=9)


def test_no_life_repeats_another_and_none_asks_for_a_random_seed() -> None:
    seeds = {flags.life_seed(0, worker, life) for worker in range(4) for life in range(1000)}
    assert len(seeds) == 4000
    assert all(0 < seed < flags.SEED_LIMIT for seed in seeds)
    assert flags.life_seed(flags.SEED_LIMIT - 2, 0, 0) != 0
    assert flags.life_seed(5, 0, 3) == flags.life_seed(5, 0, 3)


def test_time_outs_are_whole_seconds_and_never_off() -> None:
    assert flags.whole_seconds(Limits(wall_s=0.2)) == 1  # -timeout=0 would switch it off
    assert flags.whole_seconds(Limits(wall_s=2.5)) == 3


def test_comparisons_are_sampled_unless_each_is_coverage() -> None:
    assert flags.comparison_sample(("-only_ascii=1",)) > 1
    assert flags.comparison_sample(("-use_value_profile=1",)) == 1
