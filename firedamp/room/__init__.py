"""The private copy of a working folder in which a program runs, and its way back to the starting bytes.

It refuses what would be slow to copy, never changes the user's files, and never follows a link out of the copy.
"""

from firedamp.room.room import EXCLUDED, CopySize, Room

__all__ = ["EXCLUDED", "CopySize", "Room"]
