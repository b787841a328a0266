"""Sweeps of programs as a distribution ships them: what each does when its system calls fail.

    python tests/bench/real_programs.py [--only NAME ...] [--budget 120] [--jobs 1]

The programs stand in real_programs.toml. Each finding's policy goes to results/bench/real-programs/, so that anyone
with the same packages can replay it; real-programs.md lists them with their commands, and who was silent. What a
person found when looking closer stands in real-programs-notes.md.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PUBLISHED = HERE.parent.parent / "results" / "bench"
POLICIES = PUBLISHED / "real-programs"
STREAMS = ("stdin", "stdout")
TIMEOUT_S = 20  # of a clean run, on a machine that has other things to do as well; runs under faults get their own
FIREDAMP = (sys.executable, "-m", "firedamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One finding, and how to see it again."""

    kind: str
    function: str | None
    message: str
    severity: str
    confirmed: tuple[int, int]
    policy: str  # its file, relative to results/bench
    replay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One program. `package`: name and version, of the file that runs."""

    name: str
    package: str
    command: str
    runs: int = 0
    sites: int = 0
    wall_s: float = 0.0
    complete: bool = False
    hints: int = 0
    findings: tuple[Shown, ...] = field(default=())
    failure: str = ""


def options(program: dict[str, Any]) -> list[str]:
    words = [word for key in ("setup", "check") if key in program for word in (f"--{key}", program[key])]
    for stream in STREAMS:
        if stream in program:
            words += [f"--{stream}", program[stream]]
    return words


def package(program: str) -> str:
    path = os.path.realpath(shutil.which(program) or program)
    for name in (path, path.removeprefix("/usr")):
        owner = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False).stdout
        if owner:
            found = owner.split(":")[0]
            version = subprocess.run(
                ["dpkg-query", "-W", "-f", "${Version}", found], capture_output=True, text=True, check=True
            )
            return f"{found} {version.stdout}"
    return "unknown"


def sweep(name: str, program: dict[str, Any], budget_s: int, policies: Path) -> Swept:
    command: list[str] = program["command"]
    about = {"name": name, "package": package(command[0]), "command": shlex.join(command)}
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as results:
        limits = ["--time", f"{budget_s}s", "--timeout", f"{TIMEOUT_S}s"]
        words = ["sweep", "--json", "--results", results, *limits, *options(program), "--", *command]
        started = time.monotonic()
        done = subprocess.run(
            [*FIREDAMP, *words], cwd=work, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
        wall_s = time.monotonic() - started
        if done.returncode not in (0, 1):
            return Swept(**about, failure=done.stderr.strip().splitlines()[-1])
        body = json.loads(done.stdout)
        findings = tuple(
            publish(name, program, each, policies) for each in body["findings"] if each["state"] != "unconfirmed"
        )
    facts = {key: body[key] for key in ("runs", "sites", "complete")}
    return Swept(**about, **facts, wall_s=round(wall_s, 1), hints=body["hints"], findings=findings)


def publish(name: str, program: dict[str, Any], finding: dict[str, Any], policies: Path) -> Shown:
    """The reproducer among the published ones; nothing of this machine stands in it."""
    kept = f"{name}-{finding['kind']}-{finding['id']}.policy"
    shutil.copyfile(finding["reproducer"], policies / kept)
    words = ["firedamp", "replay", f"results/bench/real-programs/{kept}", *options(program), "--", *program["command"]]
    return Shown(
        kind=finding["kind"],
        function=finding["function"],
        message=finding.get("message") or "",
        severity=finding["severity"],
        confirmed=tuple(finding["confirmed"]),
        policy=f"real-programs/{kept}",
        replay=shlex.join(words).replace(" --setup", ' --workdir "$(mktemp -d)" --setup', 1)
        if "setup" in program
        else shlex.join(words).replace(" -- ", ' --workdir "$(mktemp -d)" -- ', 1),
    )


def machine() -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    return f"{release}, Linux {platform.release()}, {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}"


def table(swept: list[Swept]) -> str:
    runs, findings = sum(each.runs for each in swept), sum(len(each.findings) for each in swept)
    silent = [each.name for each in swept if not each.findings and not each.failure]
    lines = [
        "# Programs of a distribution under faults",
        "",
        f"`python tests/bench/real_programs.py` on {machine()}.",
        f"{len(swept)} programs, {runs:,} runs under faults, {findings} findings. Silent: {', '.join(silent)}.",
        "",
        "| program | package | sites | runs | s | findings | hints | complete |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in swept:
        facts = (each.sites, each.runs, each.wall_s, len(each.findings), each.hints, "yes" if each.complete else "no")
        lines.append(f"| {each.name} | {each.package} | " + " | ".join(map(str, facts)) + " |")
    lines += ["", "## What was found"]
    for each in swept:
        if each.findings or each.failure:
            lines += ["", f"### {each.name}: `{each.command}`", ""]
        if each.failure:
            lines.append(f"Not swept: {each.failure}")
        for found in each.findings:
            n, m = found.confirmed
            where = f" in {found.function}" if found.function else ""
            lines += [f"- **{found.kind}**{where} ({found.severity}, {n} of {m}): {found.message}", ""]
            lines += [f"      {found.replay}", ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="this program alone; repeatable; prints only")
    parser.add_argument("--budget", type=int, default=120, help="seconds for one program")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    given = parser.parse_args()
    programs: dict[str, dict[str, Any]] = tomllib.loads((HERE / "real_programs.toml").read_text())["programs"]
    unknown = set(given.only or ()) - programs.keys()
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not in real_programs.toml")
    with tempfile.TemporaryDirectory() as folder:

        def one(name: str) -> Swept:
            swept = sweep(name, programs[name], given.budget, Path(folder))
            say(swept)
            return swept

        with ThreadPoolExecutor(given.jobs) as jobs:
            swept = list(jobs.map(one, given.only or programs))
        if given.only:
            print(table(swept))
            return
        shutil.rmtree(POLICIES, ignore_errors=True)
        shutil.copytree(folder, POLICIES)
    (PUBLISHED / "real-programs.md").write_text(table(swept))
    body = {"machine": machine(), "programs": [asdict(each) for each in swept]}
    (PUBLISHED / "real-programs.json").write_text(json.dumps(body, indent=1) + "\n")


def say(swept: Swept) -> None:
    found = ", ".join(f"{each.kind} {each.function}" for each in swept.findings) or "silent"
    said = swept.failure or f"{swept.runs} runs, {swept.wall_s} s: {found}"
    print(f"{swept.name}: {said}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
