"""firedamp show FINDING"""

from pathlib import Path

import click

from firedamp.cli import options

SHOWN_BYTES = 512  # of an input; the whole of it lies in the file that is named


@click.command(name="show")
@click.argument("name", metavar="FINDING")
@options.json_output
@options.common()
def command(name: str, as_json: bool, results: Path | None) -> int:
    """Show all that is known of a finding: evidence, stack, reproducer, and the command that shows it again.

    The beginning of its id is enough.

    \b
    firedamp show 3f9a
    """
    from dataclasses import asdict, replace

    from firedamp import defence, reproducer_file
    from firedamp.cli.results import write, write_json
    from firedamp.cli.session import Session
    from firedamp.errors import UsageError
    from firedamp.report.text import story

    session = Session.open(results)
    with session.store() as store:
        finding = store.get(name)
    cells = defence.read(Path(finding.reproducer).with_name(defence.CACHE)) if finding.reproducer else ()
    if as_json:
        detection = asdict(finding.detection)
        shown = [asdict(cell) for cell in cells]
        write_json(session, [finding], evidence=detection["evidence"], stack=detection["stack"], defences=shown)
        return 0
    try:
        payload = readable(reproducer_file.read(Path(finding.reproducer)).payload)
    except UsageError as error:
        payload = str(error)
    original = reproducer_file.original(Path(finding.reproducer)) if finding.detection.smash is not None else None
    ranges = () if original is None else (f"input[...] above is {original}, as it was found",)
    finding = replace(finding, detection=replace(finding.detection, evidence=(*finding.detection.evidence, *ranges)))
    write(
        story(
            finding, root=session.root, results=session.results, payload=payload, defences=tuple(defence.lines(cells))
        )
    )
    return 0


def readable(payload: bytes) -> str:
    """A policy as it stands, bytes as a dump of sixteen to the line."""
    shown = payload[:SHOWN_BYTES]
    try:
        text = payload.decode("ascii")
        if len(payload) == len(shown) and all(each.isprintable() or each in "\n\t" for each in text):
            return text
    except UnicodeDecodeError:
        pass
    lines = [_dump_line(start, shown[start : start + 16]) for start in range(0, len(shown), 16)]
    if len(payload) > len(shown):
        lines.append(f"... {len(payload)} bytes in all")
    return "\n".join(lines)


def _dump_line(start: int, chunk: bytes) -> str:
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk)
    return f"{start:08x}  {chunk.hex(' '):<47}  {text}"
