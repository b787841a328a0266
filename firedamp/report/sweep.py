"""A sweep in words: how far it is, and the closing line that proves what was tried and what was not."""

from firedamp.campaign import Summary
from firedamp.engine import Progress
from firedamp.plural import counted


def progress_line(name: str, progress: Progress, found: int, now_s: float, budget_s: float | None) -> str:
    """`now_s` since the sweep began. The time left is that of the runs, or of the budget where that ends sooner."""
    if not progress.planned:
        return f"{name}: looking for sites"
    if not progress.left:
        return (
            f"{name}: {counted(progress.done, 'run')}, none left: confirming and shrinking {counted(found, 'finding')}"
        )
    line = f"{name}: {counted(progress.done, 'run')}, {progress.left:,} left, {counted(found, 'finding')}"
    rate = progress.executions / now_s if now_s > 0 else 0.0
    if not rate:
        return line
    left_s = progress.left / rate
    if budget_s is not None:
        left_s = min(left_s, max(0.0, budget_s - now_s))
    return f"{line}, {rate:,.1f} runs/s, {clock(left_s)} left"


def closing_line(progress: Progress, summary: Summary) -> str:
    """Its numbers add up: planned = executed + taken over + skipped + left."""
    skipped = sum(progress.skips.values())
    parts = [f"{progress.done:,} executed", f"{skipped:,} skipped"]
    if progress.taken_over:
        parts.insert(1, f"{progress.taken_over:,} taken over")
    if skipped:
        parts[-1] += f" ({', '.join(f'{reason}: {count:,}' for reason, count in progress.skips.items() if count)})"
    parts.append(f"{progress.left:,} left (--resume goes on there)" if progress.left else _end(progress))
    planned = f"{counted(progress.planned, 'fault')} planned" + (
        f" ({progress.pairs:,} of them pairs)" if progress.pairs else ""
    )
    return (
        f"{counted(progress.sites, 'site')} x {counted(progress.kinds, 'errno')}: {planned}, "
        f"{', '.join(parts)}; {counted(len(summary.findings), 'finding')}, {len(summary.new)} new, "
        f"{counted(len(summary.hints), 'hint')}, {summary.benign} benign; {counted(progress.executions, 'run')} "
        f"in {clock(summary.wall_s)}"
    )


def _end(progress: Progress) -> str:
    return "none left" if progress.complete else "its pairs not yet planned (--resume goes on there)"


def clock(seconds: float) -> str:
    """As people write it: 40 s, 3 min, 2 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
