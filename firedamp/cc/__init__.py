"""firedamp-cc and firedamp-c++: a compiler for builds that know nothing of us. Quick to import."""

from firedamp.cc.wrapper import launch, main, main_cxx

__all__ = ["launch", "main", "main_cxx"]
