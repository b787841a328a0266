"""What a person keeps under corpora/."""

from pathlib import Path

import pytest

from firedamp import corpus
from firedamp.errors import UsageError


def test_regressions_are_those_with_facts(tmp_path: Path) -> None:
    for target, name in [("b", "two"), ("a", "one.x"), ("a", "0")]:
        folder = corpus.regressions_folder(tmp_path, target)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
        (folder / f"{name}.toml").write_bytes(b"")
    (corpus.regressions_folder(tmp_path, "a") / "lonely").write_bytes(b"")
    found = [str(path.relative_to(tmp_path / "corpora")) for path in corpus.regressions(tmp_path)]
    assert found == ["a/regressions/0", "a/regressions/one.x", "b/regressions/two"]
    assert corpus.regressions(tmp_path / "nowhere") == ()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x.toml", "a b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        corpus.check_name(name)


def test_a_good_name_is_taken() -> None:
    assert corpus.check_name("stack-smash-main.cold") == "stack-smash-main.cold"


def test_inputs_of_a_folder_in_a_stable_order(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("b", "a", "d/c", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in corpus.input_files(tmp_path)] == ["a", "b", "c"]
    assert list(corpus.input_files(tmp_path / "b")) == [tmp_path / "b"]
    with pytest.raises(UsageError, match="no such file"):
        list(corpus.input_files(tmp_path / "none"))
