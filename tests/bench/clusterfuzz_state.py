"""Run by a Python that has PyPI's `clusterfuzz`: libFuzzer's words on stdin (a JSON list) -> crash type and state.

ClusterFuzz calls two crashes one when type and state (the top three frames after its list of frames to ignore) agree.
"""

import json
import sys

from clusterfuzz import stacktraces


def state(words: str) -> str | None:
    if not words:
        return None
    parsed = stacktraces.StackParser(symbolized=True, detect_ooms_and_hangs=True).parse(words)
    return f"{parsed.crash_type}\n{parsed.crash_state}" if parsed.crash_type or parsed.crash_state else None


json.dump([state(words) for words in json.load(sys.stdin)], sys.stdout)
