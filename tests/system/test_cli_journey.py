"""From a C file to a regression test, and from a command to a policy file, each step as a user would type it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
PARSER = """
#include <stddef.h>
#include <stdint.h>
#include <string.h>
__attribute__((noinline)) void set_name(const uint8_t *data, size_t size) {
  volatile char name[16];
  for (size_t i = 0; i < size LIMIT; i++) name[i] = data[i];
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  set_name(data, size);
  return 0;
}
"""
CONFIG = '[targets.names]\nsources = ["names.c"]\nmax_len = 40\ntimeout_s = 2\n'


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIREDAMP, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def project(folder: Path, *, fixed: bool = False) -> Path:
    (folder / "firedamp.toml").write_text(CONFIG)
    (folder / "names.c").write_text(PARSER.replace("LIMIT", "&& i < 16" if fixed else ""))
    return folder


def body(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["schema"] == 1
    return found


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_from_a_c_file_to_a_regression_test(tmp_path: Path) -> None:
    project(tmp_path)
    # --runs ends it, however slow the machine is.
    first = run("fuzz", "names", "--time", "60s", "--runs", "200000", "--seed", "1", "--json", folder=tmp_path)
    assert first.returncode == 1, first.stderr
    found = body(first)
    assert found["executions"] > 0
    assert found["edges"] > 0
    smash = next(each for each in found["findings"] if each["kind"] == "stack-smash")
    assert (smash["function"], smash["file"], smash["state"], smash["engine"]) == ("set_name", "names.c", "new", "fuzz")
    assert smash["confirmed"] == [3, 3]

    listed = body(run("findings", "--json", folder=tmp_path))
    assert smash["id"] in [each["id"] for each in listed["findings"]]

    elsewhere = subprocess.run([*smash["replay"], "--json"], cwd="/", capture_output=True, text=True, check=False)
    assert elsewhere.returncode == 1, elsewhere.stderr
    assert body(elsewhere)["findings"][0]["id"] == smash["id"]
    assert body(elsewhere)["came_back"] == 3

    shown = run("show", smash["id"][:6], folder=tmp_path)
    assert "set_name" in shown.stdout
    assert " ".join(smash["replay"][-4:]) in shown.stdout

    assert run("keep", smash["id"], "--name", "smash", folder=tmp_path).returncode == 0
    assert (tmp_path / "corpora" / "names" / "regressions" / "smash").is_file()
    assert (tmp_path / "corpora" / "names" / "regressions" / "smash.toml").is_file()
    assert run("keep", smash["id"], "--name", "smash", folder=tmp_path).returncode == 2
    back = run("regress", folder=tmp_path)
    assert (back.returncode, "came back, 1 of 1" in back.stdout) == (1, True)

    project(tmp_path, fixed=True)
    good = run("regress", folder=tmp_path)
    assert (good.returncode, "did not come back, 0 of 1" in good.stdout) == (0, True), good.stderr
    assert run("replay", smash["id"], folder=tmp_path).returncode == 0
    states = {each["id"]: each["state"] for each in body(run("findings", "--json", folder=tmp_path))["findings"]}
    assert states[smash["id"]] == "fixed"


@pytest.mark.slow
@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_known_findings_and_a_folder_of_crash_files(tmp_path: Path) -> None:
    project(tmp_path)
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    for length in (33, 34, 36, 38):
        (crashes / f"crash-{length}").write_bytes(b"A" * length)
    (crashes / "fine").write_bytes(b"short")
    done = run("replay", "--target", "names", "crashes", "-n", "1", "--json", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    sorted_files = body(done)
    assert sorted_files["clean"] == ["crashes/fine"]
    assert [len(each["files"]) for each in sorted_files["signatures"]] == [4]
    (finding,) = sorted_files["findings"]
    assert Path(finding["reproducer"]).with_name("input").read_bytes() == b"A" * 33

    done = run("fuzz", "names", "--runs", "20000", "--seed", "2", "--new-only", "--json", folder=tmp_path)
    again = {each["id"]: each["state"] for each in body(done)["findings"]}
    assert again[finding["id"]] == "known"
    assert done.returncode == (1 if "new" in again.values() else 0)
    refused = run("fuzz", "names", "--time", "3s", "--", "-fork=1", folder=tmp_path)
    assert (refused.returncode, "--workers N" in refused.stderr) == (2, True)


@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_130_and_saved(tmp_path: Path, number: signal.Signals) -> None:
    project(tmp_path, fixed=True)
    process = subprocess.Popen(
        [*FIREDAMP, "fuzz", "names", "--time", "90s", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    corpus = tmp_path / "results" / "names" / "corpus"
    deadline = time.monotonic() + 60
    while not (corpus.is_dir() and any(corpus.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "stopping and saving" in err
    assert json.loads(out)["interrupted"] is True
    assert any(corpus.iterdir())


@pytest.mark.slow
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_from_a_command_to_a_policy_file(tmp_path: Path) -> None:
    words = ("--syscall", "write", "--errno", "ENOSPC", "--json", "--")
    bad = run("sweep", *words, "sh", "-c", "echo hello > out.txt; exit 0", folder=tmp_path)
    assert bad.returncode == 1, bad.stderr
    found = body(bad)
    assert found["complete"] is True
    assert found["runs"] >= 1
    assert all(isinstance(found[name], int) for name in ("runs", "sites", "faults", "skipped", "hints"))
    finding = found["findings"][0]
    assert (finding["kind"], finding["engine"]) == ("swallowed-error", "inject")
    policy = Path(finding["reproducer"])
    assert policy.name == "faults.policy"
    assert policy.read_text().startswith("# firedamp policy 1\n")
    assert not (tmp_path / "out.txt").exists()

    for replay in (
        (finding["id"],),
        (str(policy),),
        (str(policy.with_suffix(".toml")),),
        (str(policy), "--", "sh", "-c", "echo hello > out.txt; exit 0"),
    ):
        assert run("replay", "-n", "1", *replay, folder=tmp_path).returncode == 1, replay
    vacuous = run("replay", "-n", "1", str(policy), "--", "true", folder=tmp_path)
    assert vacuous.returncode == 0 and "no fault took place" in vacuous.stdout

    good = run("sweep", *words, "sh", "-c", "echo hello > out.txt", folder=tmp_path)
    assert (good.returncode, body(good)["findings"]) == (0, []), good.stderr
    assert body(good)["runs"] >= 1


@pytest.mark.needs("gcc")
@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_replay_that_tried_nothing_repairs_nothing(tmp_path: Path) -> None:
    """Another build of a program calls from other places: a policy that strikes none of them proves nothing."""
    source = tmp_path / "save.c"
    source.write_text(
        "#include <fcntl.h>\n#include <unistd.h>\n"
        'int main(void) { MORE int fd = open("out", O_CREAT | O_WRONLY, 0600); write(fd, "x", 1); return 0; }\n'
    )
    compile_ = ("gcc", "-w", "-o", "save", "save.c")
    subprocess.run([*compile_, "-DMORE="], cwd=tmp_path, check=True)
    words = ("--syscall", "write", "--errno", "ENOSPC", "--json", "--", "./save")
    (finding,) = body(run("sweep", *words, folder=tmp_path))["findings"]
    subprocess.run([*compile_, "-DMORE=getpid();getuid();"], cwd=tmp_path, check=True)
    replayed = run("replay", "-n", "1", "--json", finding["id"], folder=tmp_path)
    assert replayed.returncode == 0 and body(replayed)["vacuous"] is True
    assert "nothing was tried" in body(replayed)["words"]
    (kept,) = body(run("findings", "--json", folder=tmp_path))["findings"]
    assert kept["state"] == "new"


@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_named_sweep_and_its_filters(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text(
        '[sweeps.copy]\ncommand = ["cp", "a", "b"]\nsetup = "seq 100 > a"\ncheck = "cmp a b"\nerrno = ["EIO"]\n'
    )
    done = run("sweep", "copy", "--syscall", "openat", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 findings" in done.stderr
    more = run("sweep", "copy", "--syscall", "openat", "--startup", "--runs", "3", "--json", folder=tmp_path)
    assert "start-up of the dynamic loader" not in json.loads(more.stdout)["skips"]
    assert run("sweep", "copi", folder=tmp_path).returncode == 2
    none = run("sweep", "copy", "--syscall", "fsync", folder=tmp_path)
    assert "--errno and --syscall leave nothing of " in none.stderr and "openat" in none.stderr


@pytest.mark.needs("ptrace")
@pytest.mark.needs("seccomp")
def test_a_named_sweep_may_ask_for_all_that_options_can(tmp_path: Path) -> None:
    sweep = '[sweeps.{}]\ncommand = ["ls"]\nbudget_s = 0.001\n'
    more = "malloc = true\nstartup = true\nrecovery = true\npairs = true\n"
    (tmp_path / "firedamp.toml").write_text(sweep.format("plain") + sweep.format("more") + more)
    plain, asked = (json.loads(run("sweep", name, "--json", folder=tmp_path).stdout) for name in ("plain", "more"))
    assert (asked["complete"], asked["left"] > 0) == (False, True)  # the budget
    assert "start-up of the dynamic loader" in plain["skips"]
    assert "start-up of the dynamic loader" not in asked["skips"]
    assert asked["faults"] > plain["faults"]  # places that allocate
