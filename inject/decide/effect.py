"""From the verdict of a rule to the Action of the tracer: what Linux itself would do when it fails this call so."""

from dataclasses import dataclass, replace
from errno import EINTR, ENOSYS, EPERM
from signal import Signals
from socket import MSG_NOSIGNAL
from typing import Final, assert_never

from firedamp.trace.protocol import Action
from inject.decide.attributes import View
from inject.decide.tamper import Tampering, corrupting, poking, vector
from inject.linux import syscalls
from inject.linux.buffers import COUNTED, VECTORED
from inject.policy.model import Ask, Commit, Corrupt, Deny, Partial, Permit, Retval, Rule, StraceRule, Suppress

SECOND: Final = 1_000_000_000
SLEEPS: Final = {"nanosleep": (0, 1), "clock_nanosleep": (2, 3)}  # -> indexes of what is asked for, and what remains
TIMER_ABSTIME: Final = 1  # linux/time.h
SENDS: Final = frozenset({"sendto", "sendmsg", "sendmmsg"})  # whose flags are those of send(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """kind: as Strike.effect; None where the call is simply permitted."""

    action: Action
    kind: str | None
    errno: int | None = None
    longest: int | None = None  # of a partial: the result that it may have
    tampering: Tampering | None = None


def effect_of(rule: Rule | StraceRule, view: View, nth: int) -> Effect | None:
    """`nth`: of the calls that the rule decides. None: there is nothing to shorten, or to corrupt, at this call."""
    return _of_strace(rule, view) if isinstance(rule, StraceRule) else _of_rule(rule, view, nth)


def failure(view: View, number: int) -> Effect:
    """The call fails as Linux fails it: close(2) releases its descriptor early, so it is carried out first; and who
    writes where nobody reads gets a signal as well."""
    fact = view.syscall.find_errno(number)
    commits = view.name == "close" or (fact is not None and fact.effect == "commit")
    effect = _committed(number) if commits else _suppressed(number)
    if number == EINTR and view.name in SLEEPS:
        return replace(effect, tampering=_unslept(view))
    if fact is None or fact.signal is None or _wants_no_signal(view):
        return effect
    return replace(effect, action=replace(effect.action, signal=getattr(Signals, fact.signal)))


def _unslept(view: View) -> Tampering | None:
    """Interrupted at once: what remains, a struct timespec, is all of what was asked for."""
    request, remains = SLEEPS[view.name]
    call = view.call
    absolute = view.name == "clock_nanosleep" and call.arguments[1] & TIMER_ABSTIME
    asked = call.memory(call.arguments[request], 16)
    if absolute or not call.arguments[remains] or len(asked) < 16:
        return None
    return Tampering(exit=((call.arguments[remains], asked),))


def _wants_no_signal(view: View) -> bool:
    index = view.syscall.find_index("flags") if view.name in SENDS else None
    return index is not None and bool(view.call.arguments[index] & MSG_NOSIGNAL)


def _suppressed(number: int) -> Effect:
    return Effect(action=Action(suppress=-number), kind="suppress", errno=number)


def _committed(number: int) -> Effect:
    return Effect(action=Action(replace=-number, watch=True), kind="commit", errno=number)


def _of_rule(rule: Rule, view: View, nth: int) -> Effect | None:
    effect = _of_verdict(rule, view, nth)
    if effect is None:
        return None
    return _with(effect, rule.signal, rule.delay_entry_ns, rule.delay_exit_ns)


def _of_verdict(rule: Rule, view: View, nth: int) -> Effect | None:
    match rule.verdict:
        case Permit():
            return Effect(action=Action(), kind=None)
        case Deny(errno=number):
            return failure(view, number or EPERM)
        case Suppress(errno=number):
            return _suppressed(number)
        case Commit(errno=number):
            return _committed(number)
        case Retval(value=value):
            return Effect(action=Action(suppress=value), kind="retval")
        case Partial(count=count):
            return _shortened(view, count)
        case Corrupt() as verdict:
            tampering = corrupting(view.call, view.name, verdict, nth)
            return None if tampering is None else Effect(action=Action(watch=True), kind="corrupt", tampering=tampering)
        case Ask():
            raise ValueError("somebody has to be asked first: the answer is a permit or a deny")
    assert_never(rule.verdict)


def _of_strace(rule: StraceRule, view: View) -> Effect:
    number = rule.error or (ENOSYS if rule.fault else None)
    effect = Effect(action=Action(), kind=None)
    if rule.syscall is not None:
        value = -number if number else rule.retval
        action = Action(syscall=syscalls.get(rule.syscall).number, replace=value)
        effect = Effect(action=action, kind="retval" if number is None else "suppress", errno=number)
    elif number is not None:
        effect = failure(view, number)
    elif rule.retval is not None:
        effect = Effect(action=Action(suppress=rule.retval), kind="retval")
    effect = _with(effect, rule.signal, rule.delay_enter_ns, rule.delay_exit_ns)
    tampering = poking(view.call, len(view.syscall.parameters), rule.poke_enter, rule.poke_exit)
    if tampering is None:
        return effect
    return replace(effect, action=replace(effect.action, watch=True), kind=effect.kind or "poke", tampering=tampering)


def _with(effect: Effect, signal: int | None, entry_ns: int, exit_ns: int) -> Effect:
    if signal is None and not entry_ns and not exit_ns:
        return effect
    action = replace(
        effect.action,
        signal=signal or effect.action.signal,
        delay_entry_s=entry_ns / SECOND,
        delay_exit_s=exit_ns / SECOND,
    )
    kind = effect.kind or ("signal" if signal is not None else "delay")
    return replace(effect, action=action, kind=kind)


def _shortened(view: View, count: int) -> Effect | None:
    """The kernel is asked for less, so that what comes back is a genuine short count."""
    call = view.call
    if view.name in VECTORED:
        return _first_part(view, count)
    index = COUNTED.get(view.name)
    if index is None or call.arguments[index] <= count:
        return None
    return _partial(Action(arguments=((index, count),), watch=True), count)


def _first_part(view: View, count: int) -> Effect | None:
    """Of a vector: its first part that is not empty, by the plain call (struct iovec: address, length)."""
    parts = vector(view.call, view.call.arguments[1], view.call.arguments[2])
    if not parts or sum(length for _, length in parts) <= count:
        return None
    address, length = parts[0]
    longest = min(count, length)
    plain = syscalls.get(VECTORED[view.name]).number
    return _partial(Action(syscall=plain, arguments=((1, address), (2, longest)), watch=True), longest)


def _partial(action: Action, longest: int) -> Effect:
    return Effect(action=action, kind="partial", longest=longest)
