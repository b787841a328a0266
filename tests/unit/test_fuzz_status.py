from fuzz.status import Status

# From real runs of libFuzzer (Atheris 3.0).
LOG = """\
INFO: Seed: 1
INFO: Loaded 1 modules   (728 inline 8-bit counters): 728 [0x7f63b053a428, 0x7f63b053a700),
#15\tINITED cov: 2 ft: 2 corp: 1/52b exec/s: 0 rss: 38Mb
#17\tNEW    cov: 3 ft: 3 corp: 2/53b lim: 52 exec/s: 0 rss: 39Mb L: 1/52 MS: 2 ShuffleBytes-CrossOver-
#4194304\tpulse  cov: 3 ft: 4 corp: 2/53b lim: 512 exec/s: 2097152 rss: 39Mb
"""


def test_the_state_follows_the_lines() -> None:
    assert Status().after(LOG) == Status(initialised=True, runs=4194304, edges=3, features=4, corpus=2)


def test_before_the_corpus_is_read_nothing_is_initialised() -> None:
    assert Status().after("INFO: Seed: 1\n#2\tpulse  cov: 2 ft: 2 corp: 1/1b\n").initialised is False


def test_pieces_add_up_to_the_whole() -> None:
    state = Status()
    for line in LOG.splitlines(keepends=True):
        state = state.after(line)
    assert state == Status().after(LOG)


def test_a_line_without_coverage_is_understood() -> None:
    assert Status().after("#2\tINITED exec/s: 0 rss: 30Mb\n") == Status(initialised=True, runs=2)
