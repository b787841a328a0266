"""libFuzzer's command line: what we set, what the user may add, and what firedamp does in its own way."""

import math
from dataclasses import dataclass
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.suggestion import did_you_mean
from firedamp.target import MEBIBYTE, Limits

COMPARISONS_SAMPLED = 8  # tests/bench/throughput.py --sample: 1.2-1.7 times the executions, no fewer edges
REFUSED = {
    "fork": "firedamp restarts after each crash by itself; use `firedamp fuzz --workers N` for several processes",
    "jobs": "use `firedamp fuzz --workers N`",
    "workers": "use `firedamp fuzz --workers N`",
    "merge": "put the files into the target's `seeds` folder; `firedamp fuzz` keeps what adds coverage",
    "set_cover_merge": "put the files into the target's `seeds` folder; `firedamp fuzz` keeps what adds coverage",
    "minimize_crash": "`firedamp fuzz` shrinks each finding by itself; `firedamp replay` shows it again",
    "cleanse_crash": "`firedamp fuzz` shrinks each finding by itself; `firedamp replay` shows it again",
    "artifact_prefix": "findings lie beneath `firedamp fuzz --results FOLDER`",
    "exact_artifact_path": "findings lie beneath `firedamp fuzz --results FOLDER`",
    "runs": "use `firedamp fuzz --runs N`",
    "max_total_time": "use `firedamp fuzz --time SECONDS`",
    "help": "see the libFuzzer manual; flags after `--` go to libFuzzer as they are",
}

# Every flag that the libFuzzer of Atheris 3.0 lists for -help=1; it passes over any other with a warning in its log.
KNOWN = frozenset(
    """
    analyze_dict artifact_prefix cleanse_crash close_fd_mask collect_data_flow create_missing_dirs cross_over
    cross_over_uniform_dist data_flow_trace detect_leaks dict dump_coverage entropic
    entropic_number_of_rarest_features entropic_scale_per_exec_time error_exitcode exact_artifact_path exit_on_item
    exit_on_src_pos focus_function fork fork_corpus_groups handle_abrt handle_bus handle_fpe handle_ill handle_int
    handle_segv handle_term handle_winexcept handle_xfsz help ignore_crashes ignore_ooms ignore_remaining_args
    ignore_timeouts jobs keep_seed len_control malloc_limit_mb max_len max_total_time merge merge_control_file
    minimize_crash mutate_depth mutation_graph_file only_ascii prefer_small print_corpus_stats print_coverage
    print_final_stats print_full_coverage print_funcs print_pcs purge_allocator_interval reduce_depth reduce_inputs
    reload report_slow_units rss_limit_mb runs seed seed_inputs set_cover_merge shrink shuffle stop_file timeout
    timeout_exitcode trace_malloc use_clang_coverage use_cmp use_counters use_memmem use_value_profile verbosity
    workers
    """.split()  # noqa: SIM905
)

# A crash is a quick death by its own signal: libFuzzer's handlers would unwind the smashed stack and may die there.
_HANDLERS = ("segv", "bus", "abrt", "ill", "fpe", "int", "term", "xfsz", "usr1", "usr2")

SEED_LIMIT = 1 << 31  # libFuzzer's -seed is an int; 0 asks for a random one


def check(flags: tuple[str, ...]) -> None:
    """Raise UsageError for a flag that libFuzzer does not know, or would carry out behind firedamp's back."""
    for flag in flags:
        name = flag.lstrip("-").partition("=")[0]
        if not flag.startswith("-") or "=" not in flag:
            raise UsageError(f"{flag!r}: is no libFuzzer flag; they are written -name=value, folders come from `seeds`")
        if name in REFUSED:
            raise UsageError(f"{flag!r}: is not passed to libFuzzer; {REFUSED[name]}")
        if name not in KNOWN:
            guess = did_you_mean(name, KNOWN - REFUSED.keys())
            raise UsageError(f"{flag!r}: libFuzzer has no flag -{name}{guess or '; see its manual'}")
        if flag.startswith("--"):
            raise UsageError(f"{flag!r}: libFuzzer passes over what begins with two dashes; write {flag[1:]}")


def life_seed(seed: int, worker: int, life: int) -> int:
    """Another -seed for each life, since a life that repeats its predecessor dies of the same crash."""
    return (seed + life * 7_919 + worker * 104_729) % (SEED_LIMIT - 1) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Everything about libFuzzer's arguments that stays the same from life to life."""

    corpus: Path
    seeds: Path
    max_len: int
    timeout_s: int
    rss_limit_mb: int
    dictionary: Path | None = None
    extra: tuple[str, ...] = ()

    def argv(self, *, seed: int, runs: int | None) -> tuple[str, ...]:
        return (
            "firedamp",
            *(f"-handle_{name}=0" for name in _HANDLERS),
            "-close_fd_mask=3",  # the target's own output must not drown libFuzzer's
            "-detect_leaks=0",
            "-exact_artifact_path=/dev/null",  # the input is in the monitor
            "-print_final_stats=0",
            f"-max_len={self.max_len}",
            f"-timeout={self.timeout_s}",
            f"-rss_limit_mb={self.rss_limit_mb}",
            *((f"-dict={self.dictionary}",) if self.dictionary else ()),
            *self.extra,
            f"-seed={seed}",
            *((f"-runs={runs}",) if runs is not None else ()),
            str(self.corpus),
            str(self.seeds),
        )


def whole_seconds(limits: Limits) -> int:
    """libFuzzer's -timeout counts whole seconds, at least one."""
    return max(1, math.ceil(limits.wall_s))


def whole_mebibytes(limits: Limits) -> int:
    return max(1, limits.memory_bytes // MEBIBYTE)


def comparison_sample(given: tuple[str, ...]) -> int:
    """Comparisons are reported to libFuzzer in one of so many executions.

    They are most of the cost of a parser, while libFuzzer keeps only the latest 32 of each size to draw from
    (FuzzerTracePC.h, TableOfRecentCompares). Under a value profile each of them is coverage: none may be missed.
    """
    return 1 if "-use_value_profile=1" in given else COMPARISONS_SAMPLED
