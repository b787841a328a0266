"""What a person must know of a search beside its findings: where it could not do all that it should."""

from collections.abc import Iterator

from firedamp.engine import Progress
from firedamp.plural import counted
from firedamp.target import Build, Target, TargetKind
from fuzz.events import Events
from fuzz.pool import Pool
from fuzz.supervisor import Supervisor
from fuzz.survival import Survivals
from fuzz.temporary import find_temporary

WILD = (
    "the target wrote over memory that it shares with firedamp: such a life is not believed any more, and another "
    "one is begun"
)

IDLE = "a fuzzing process ran nothing for long (a mutator that does not return? a damaged heap?) and was started afresh"


def of_start(child: Supervisor, target: Target, build: Build | None) -> Iterator[str]:
    """What of the child's confinement is missing, or may be in the target's way; what the target cannot have."""
    if not child.namespace:
        yield "no pid namespace on this machine: a daemon that the target starts may outlive a killed firedamp"
    if not child.confinement.startswith("landlock"):
        yield f"the fuzzing process is not confined: {child.confinement}"
    elif build is not None and (what := find_temporary(build.executable)):
        yield (
            f"the target seems to use {what}, but may not write outside of its private folder: if it needs that "
            "file, let it use $TMPDIR or the working folder"
        )
    if target.kind is TargetKind.COMMAND:
        yield "no coverage feedback: an installed command is fuzzed blindly; give its sources for better"


def of_quarantine(pool: Pool) -> str:
    return f"inputs of the corpus that end the target at once were moved to {pool.quarantine}"


def of_survival(progress: Progress, survivals: Survivals, events: list[Events]) -> Iterator[str]:
    """What was survived, and what of it could not be done as it should."""
    if progress.survived:
        signatures = counted(progress.signatures, "signature")
        yield f"survived {counted(progress.survived, 'detection')} of {signatures} in process"
    if survivals.doubted:
        yield (
            f"{survivals.doubted:,} of them did nothing in a fresh process; the fuzzing process was started"
            " afresh each time"
        )
    if survivals.unseen:
        yield f"not looked at in time: {counted(survivals.unseen, 'signature')}; search longer"
    if lost := sum(one.lost for one in events):
        yield f"not kept, since too many came at once: {counted(lost, 'survived detection')}"
    for name in sorted({name for one in events for name in one.handled()}):
        yield f"the target handles {name} itself: what ends in it is not survived"
    if too_many := max(one.unrestored_bytes for one in events):
        yield (
            f"the target has {too_many >> 10:,} KiB of global variables, too many to be put back after each"
            " survived detection: what it keeps in them may go wrong later in a life"
        )
