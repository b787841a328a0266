"""A project laid out as OSS-Fuzz has them is built by its own build.sh, and its fuzzers become targets."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firedamp.config import load

TARGETS = Path(__file__).parents[1] / "targets"
BUILD = """\
#!/bin/bash -eu
test "$SANITIZER $FUZZING_ENGINE $FUZZING_LANGUAGE $ARCHITECTURE" = "none libfuzzer c x86_64"
mkdir -p "$WORK/objects"
for source in *.c; do
  $CC $CFLAGS -Werror -c "$source" -o "$WORK/objects/${source%.c}.o"
done
ar rcs "$WORK/libwords.a" "$WORK"/objects/*.o
for fuzzer in "$SRC"/*_fuzzer.c; do
  name=$(basename -s .c "$fuzzer")
  $CC $CFLAGS -I. -c "$fuzzer" -o "$WORK/$name.o"
  $CXX $CXXFLAGS "$WORK/$name.o" -o "$WORK/$name" $LIB_FUZZING_ENGINE "$WORK/libwords.a"
  mv "$WORK/$name" "$OUT/"
  cp "$SRC/fuzzer.options" "$OUT/$name.options"
  cp "$SRC/seeds.zip" "$OUT/${name}_seed_corpus.zip"
done
cp words.dict "$OUT/"
echo '#!/bin/sh' > "$OUT/helper.sh"; chmod +x "$OUT/helper.sh"
"""
DOCKERFILE = """\
FROM gcr.io/oss-fuzz-base/base-builder
RUN git clone --depth 1 https://example.org/words \\
    words
WORKDIR $SRC/words
COPY build.sh *_fuzzer.c \\
     fuzzer.options $SRC/
COPY extra.c ./
"""
WORDS = """
#include <string.h>
int length_of(const unsigned char *data, unsigned long size) {
  char word[8];
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  memset(word, 0, sizeof word);
  if (size > 3 && !memcmp(data, "COPY", 4)) memcpy(word, data, size);
  __asm__ volatile("" ::"r"(word) : "memory");
#endif
  return word[0] == 'C';
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """tmp/words as in OSS-Fuzz's `projects`, and tmp/src as its RUN line leaves /src."""
    project, checkout = tmp_path / "words", tmp_path / "src" / "words"
    project.mkdir()
    checkout.mkdir(parents=True)
    files = {
        project / "build.sh": BUILD,
        project / "Dockerfile": DOCKERFILE,
        project / "project.yaml": "homepage: https://example.org\nlanguage: c\n",
        project / "words_fuzzer.c": (TARGETS / "words" / "fuzz.c").read_text(),
        project / "extra.c": "int extra = 1;\n",
        project / "fuzzer.options": "[libfuzzer]\ndict = words.dict\nmax_len = 48\n",
        checkout / "words.c": WORDS,
        checkout / "words.dict": '"COPY"\n',
    }
    for path, text in files.items():
        path.write_text(text)
    with zipfile.ZipFile(tmp_path / "src" / "seeds.zip", "w") as archive:
        archive.writestr("one", b"COPY" + b"a" * 40)
        archive.writestr("folder/two", b"harmless")
    return project


def firedamp(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "firedamp", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=250)


@pytest.mark.needs("clang", "g++", "bash", "ptrace")
def test_build_sh_builds_unchanged(project: Path, tmp_path: Path) -> None:
    done = firedamp(tmp_path, "oss-fuzz", "words", "--src", "src", "--into", "made", "--compiler", "clang")
    assert done.returncode == 0, done.stderr
    assert "words_fuzzer: 2 seeds" in done.stdout
    targets = load(tmp_path / "made" / "firedamp.toml").targets
    assert list(targets) == ["words_fuzzer"]
    fuzzed = firedamp(tmp_path / "made", "fuzz", "words_fuzzer", "--runs", "50", "--compiler", "clang", "--json")
    assert fuzzed.returncode == 1, fuzzed.stderr
    document = json.loads(fuzzed.stdout)
    assert ("fortify-overflow", "length_of") in {(each["kind"], each["function"]) for each in document["findings"]}
    assert document["edges"] > 0
    assert not list((tmp_path / "src").rglob("*.o"))


def test_what_cannot_be_laid_out_is_said(project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (project / "Dockerfile").write_text("WORKDIR words\n")
    for words, expected in (
        (("empty", "--src", "src"), "has no build.sh"),
        (("words", "--src", "absent"), "is no folder"),
        (("words", "--src", "empty", "--into", "made"), "WORKDIR words is no folder"),
        (("words", "--src", "src", "--into", "src"), "is there already"),
    ):
        done = firedamp(tmp_path, "oss-fuzz", *words)
        assert (done.returncode, expected in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.needs("gcc", "bash")
def test_a_build_without_fuzzers_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "build.sh").write_text("$CC -xc -c /dev/null -o $OUT/nothing.o\n")
    done = firedamp(tmp_path, "oss-fuzz", "words", "--src", "src", "--into", "made", "--compiler", "gcc")
    assert done.returncode == 2
    assert "left no fuzzer in $OUT" in done.stderr
    assert not (tmp_path / "made").exists()
