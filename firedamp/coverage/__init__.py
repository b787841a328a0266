"""Which lines, blocks and functions of the source inputs reach: counted by a build of its own (profile `coverage`).

Every block of code that the compiler told apart has a flag there, and every flag an address, hence lines by the debug
information; so gcc, clang and zig serve alike, and no tool of a compiler is needed to read what was counted.
"""
