from pathlib import Path

import pytest

from firedamp.errors import UsageError
from firedamp.exchange import digest
from fuzz.pool import STARTERS, Pool


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(results=tmp_path / "results", private=tmp_path / "private", max_len=8)


def test_seeds_are_copied_cut_and_named_by_content(pool: Pool, tmp_path: Path) -> None:
    own = tmp_path / "own" / "deep"
    own.mkdir(parents=True)
    (own / "a").write_bytes(b"0123456789")
    (own / "b").write_bytes(b"01234567")
    assert pool.add_seeds(tmp_path / "own") == 1  # the same bytes once they are cut
    assert (pool.seeds / digest(b"01234567")).read_bytes() == b"01234567"
    assert (own / "a").read_bytes() == b"0123456789"


def test_no_seeds_folder_is_the_users_mistake(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        pool.add_seeds(tmp_path / "absent")


def test_a_killer_is_moved_and_kept(pool: Pool) -> None:
    (pool.corpus / digest(b"bad")).write_bytes(b"bad")
    (pool.corpus / digest(b"good")).write_bytes(b"good")
    assert pool.set_aside(b"bad")
    assert [path.read_bytes() for path in pool.quarantine.iterdir()] == [b"bad"]
    assert [path.read_bytes() for path in pool.corpus.iterdir()] == [b"good"]
    assert not pool.set_aside(b"bad")


def test_a_killer_that_libfuzzer_reads_cut_is_found(pool: Pool) -> None:
    whole = b"0123456789"  # from a search with a larger max_len
    (pool.corpus / digest(whole)).write_bytes(whole)
    assert pool.set_aside(whole[:8])
    assert (pool.quarantine / digest(whole)).read_bytes() == whole


def test_half_a_file_gets_the_name_of_what_it_is(pool: Pool) -> None:
    (pool.corpus / digest(b"whole")).write_bytes(b"wh")
    pool.settle()
    assert [path.name for path in pool.corpus.iterdir()] == [digest(b"wh")]


def test_starters_end(pool: Pool) -> None:
    assert [pool.add_starter() for _ in range(len(STARTERS) + 1)] == [True] * len(STARTERS) + [False]
