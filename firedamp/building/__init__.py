"""From a target's C to binaries whose guards are proved. Refuses to run what it builds: that is firedamp.run.

`build` is the door. `toolchain` and `profiles` say by what and how it is compiled, `prepare` runs the project's own
preparations and `artifact` takes what they made, `runtime_objects` compiles our own C, `cache` keeps it all by content.
"""
