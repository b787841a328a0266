"""The stack protector's canary: where it lies in a smashed frame, which functions have one, and how strong it is.

`frame`, `slot` and `line` explain one failed check; `functions`, `watch` and `strength` look at a whole program.
"""
