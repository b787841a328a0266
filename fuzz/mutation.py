"""The library that libFuzzer's mutations pass through (firedamp/runtime/mutator.c), and whom it is told about.

It must be loaded before libFuzzer, which looks for LLVMFuzzerCustomMutator while it is loaded itself. A mutator of the
target's own replaces libFuzzer's and ours, as it does in native libFuzzer.
"""

import ctypes

from fuzz.structure import CALLBACK, Structure

LENGTHS = "-len_control=100"  # libFuzzer's default, which it gives up where it sees any custom mutator
_POINTER = ctypes.c_void_p


class Mutator:
    """Present from `load` on; useful from `serve` on."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._own = False
        self._structure: object = None  # kept alive for C

    @classmethod
    def load(cls, path: str) -> "Mutator":
        return cls(ctypes.CDLL(path, ctypes.RTLD_GLOBAL))

    def serve(self, fuzzer: ctypes.CDLL, target: ctypes.CDLL) -> None:
        """For a target in this process."""
        custom, crossing = (_call(target, f"firedamp_{name}") for name in ("custom_mutator", "custom_cross_over"))
        self._own |= custom is not None
        _call(self._library, "firedamp_mutate", ctypes.cast(fuzzer.LLVMFuzzerMutate, _POINTER).value, custom, crossing)
        _call(target, "firedamp_record_in", _call(self._library, "firedamp_operand_table", None))

    def ask(self, structure: Structure, period: int) -> None:
        """One mutation in `period` is the user's."""
        callback = CALLBACK(structure.mutate)
        self._structure, self._own = callback, True  # as large as it wants from the start, as in native libFuzzer
        self._library.firedamp_mutate_by.argtypes = [CALLBACK, ctypes.c_uint]
        self._library.firedamp_mutate_by.restype = None
        self._library.firedamp_mutate_by(callback, period)

    @property
    def operand_bytes(self) -> int:
        return _call(self._library, "firedamp_operand_bytes") or 0

    def follow(self, fuzzer: ctypes.CDLL, operands: int) -> None:
        """For a target in processes of its own, which write what they compare at the address `operands`."""
        _call(self._library, "firedamp_mutate", ctypes.cast(fuzzer.LLVMFuzzerMutate, _POINTER).value, None, None)
        _call(self._library, "firedamp_operand_table", operands)

    def adapt(self, argv: list[str]) -> list[str]:
        """libFuzzer's arguments, with the growth of inputs as it is without a mutator."""
        if self._own or any(word.startswith("-len_control=") for word in argv):
            return argv
        return [argv[0], LENGTHS, *argv[1:]]


def _call(library: ctypes.CDLL, name: str, *addresses: int | None) -> int | None:
    function = getattr(library, name)
    function.argtypes, function.restype = [_POINTER] * len(addresses), _POINTER
    answer: int | None = function(*addresses)
    return answer
