"""Call stacks of stopped or dead processes from call frame information (DWARF 5, 6.4; System V ABI for x86-64, 3.7).

It never trusts what it reads: a corrupt stack or a corrupt file ends the stack early and never raises.
"""

from firedamp.unwind.site import is_own, site_digest
from firedamp.unwind.unwinder import Base, Unwinder

__all__ = ["Base", "Unwinder", "is_own", "site_digest"]
