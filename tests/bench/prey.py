"""Real prey: six Debian source packages that parse what strangers send, fetched, built and fuzzed.

    python tests/bench/prey.py FOLDER [--only NAME ...] [--time 60m] [--seed 1]

Each folder of prey/ is named after its source package and holds a firedamp.toml, and a harness where the package is a
library. The source is fetched by `apt-get source`, with Debian's patches, into FOLDER/NAME/src. Then all are fuzzed at
the same time, as kindly as nice 19, each in a session of its own: FOLDER/out/NAME.json holds what was found,
NAME.log what was said meanwhile. FOLDER is used again: a campaign goes on where it ended.
--time 0 fetches and builds only. Code that is not ours runs confined by firedamp in each of these processes, except
for the package's own configure and make.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SUITE = HERE / "prey"
FIREDAMP = (sys.executable, "-m", "firedamp")
NICE = ("nice", "-n", "19")


def packages() -> list[str]:
    return sorted(path.parent.name for path in SUITE.glob("*/firedamp.toml"))


def fetch(package: str, project: Path) -> None:
    """The project's folder, with the source below it; nothing is done where it is there."""
    shutil.copytree(SUITE / package, project, dirs_exist_ok=True)
    if (project / "src").exists():
        return
    with tempfile.TemporaryDirectory(dir=project) as name:
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "source", "--only-source", package]
        subprocess.run(command, cwd=name, check=True)
        [source] = [path for path in Path(name).iterdir() if path.is_dir()]
        source.rename(project / "src")
        [description] = Path(name).glob("*.dsc")
        description.rename(project / "source.dsc")  # which version it was, and the digests of its archives


def build(package: str, project: Path) -> None:
    subprocess.run([*FIREDAMP, "build", package], cwd=project, check=True, stdout=subprocess.DEVNULL)


def fuzz(package: str, folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    (folder / "out").mkdir(exist_ok=True)
    command = [*NICE, *FIREDAMP, "fuzz", package, "--time", options.time, "--seed", str(options.seed), "--json"]
    with (
        (folder / "out" / f"{package}.json").open("wb") as document,
        (folder / "out" / f"{package}.log").open("ab") as log,
    ):
        return subprocess.Popen(
            command,
            cwd=folder / package,
            stdin=subprocess.DEVNULL,
            stdout=document,
            stderr=log,
            start_new_session=True,
        )


def told(document: Path) -> str:
    """One line of what a campaign came to."""
    said = json.loads(document.read_text())
    kinds = [f"{finding['kind']} in {finding['function']}" for finding in said["findings"]]
    return (
        f"{document.stem}: {said['executions']:,} executions in {said['wall_s']:.0f} s, {said['edges']:,} edges: "
        f"{', '.join(kinds) or 'nothing found'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=packages(), metavar="NAME")
    parser.add_argument("--time", default="60m", help="of each campaign; all run at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    chosen = options.only or packages()
    for package in chosen:
        fetch(package, folder / package)
        build(package, folder / package)
    if options.time == "0":
        return 0
    running = {package: fuzz(package, folder, options) for package in chosen}
    for package, process in running.items():
        if process.wait() in (0, 1):
            print(told(folder / "out" / f"{package}.json"), flush=True)
        else:
            print(f"{package}: ended with {process.returncode}; see {folder / 'out' / package}.log", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
