"""One execution under ptrace. `protocol` says what is asked and answered; everything else runs in the worker process.

Only the worker process imports `ptrace` (python-ptrace, GPL-2.0-only).
"""
