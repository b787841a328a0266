"""What inputs reached of the source, as text for a person, as JSON, and as pages that show the source itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firedamp.coverage.measure import Measurement
from firedamp.coverage.source import Coverage, Function, Measured, SourceFile
from firedamp.plural import counted

SHOWN = 10  # functions and gaps in the text; the JSON and the pages have all
TEMPLATE = "coverage.html.j2"


def text(measured: Measurement, root: Path) -> Iterator[str]:
    found = measured.coverage
    broken = f", {measured.broken} of which ended the process" if measured.broken else ""
    yield f"{counted(measured.inputs, 'input')}{broken}: {_shares(found)}, {_functions(found.functions)}"
    yield ""
    for file in found.files:
        yield f"  {_percent(file.lines_reached, len(file.lines)):>5}  {_name(file.path, root)}: {_shares(file)}"
    yield from _listed("functions never reached, largest first", tuple(never(found)), root)
    gaps = tuple(_gaps(found))
    if gaps:
        yield ""
        yield "lines never reached in functions that were, most first:"
        for function, first, last, count in gaps[:SHOWN]:
            place = f"{_name(function.file, root)}:{first}" + (f"-{last}" if last > first else "")
            yield f"  {count:5}  {place} {function.name}"
        yield from _more(len(gaps))


def document(measured: Measurement, root: Path) -> dict[str, Any]:
    found = measured.coverage
    return {
        "inputs": measured.inputs,
        "broken": measured.broken,
        **_numbers(found),
        "files": [_file(file, root) for file in found.files],
        "functions_never": [_function(function, root) for function in never(found)],
        "gaps": [
            {
                "file": _name(function.file, root),
                "first": first,
                "last": last,
                "lines": count,
                "function": function.name,
            }
            for function, first, last, count in _gaps(found)
        ],
    }


def write_pages(measured: Measurement, target: str, root: Path, folder: Path) -> Path:
    """index.html and a page for each file; the path of the first."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    template = environment.get_template(TEMPLATE)
    folder.mkdir(parents=True, exist_ok=True)
    found = measured.coverage
    pages = [(f"{number}.html", file, _name(file.path, root)) for number, file in enumerate(found.files, 1)]
    for page, file, name in pages:
        content = template.render(target=target, title=name, file=file, source=list(_source(file)), percent=_percent)
        (folder / page).write_text(content, encoding="utf-8")
    index = folder / "index.html"
    home = {file.path: (page, name) for page, file, name in pages}
    listed = {"pages": pages, "home": home, "never": list(never(found)), "gaps": list(_gaps(found))}
    content = template.render(target=target, title=target, file=None, measured=measured, percent=_percent, **listed)
    index.write_text(content, encoding="utf-8")
    return index


def never(found: Coverage) -> Iterator[Function]:
    """Functions that nothing entered, those with most lines first."""
    missed = (function for function in found.functions if not function.blocks_reached)
    yield from sorted(missed, key=lambda function: (-len(function.lines), function.file, function.line))


def _gaps(found: Coverage) -> Iterator[tuple[Function, int, int, int]]:
    every = ((function, *gap) for function in found.functions for gap in function.gaps)
    yield from sorted(every, key=lambda gap: (-gap[3], gap[0].file, gap[1]))


def _source(file: SourceFile) -> Iterator[tuple[int, str, str, str]]:
    """Number, state, blocks as `reached/all` where there are several, text; of every line there is."""
    states = {line.number: line for line in file.lines}
    try:
        lines = file.path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []  # it has moved since it was compiled, or was made by `prepare` in its copy
    for number in range(1, max(len(lines), *states) + 1):
        line = states.get(number)
        shown = f"{line.reached}/{line.blocks}" if line is not None and line.blocks > 1 else ""
        yield number, line.state if line is not None else "", shown, lines[number - 1] if number <= len(lines) else ""


def _listed(title: str, functions: tuple[Function, ...], root: Path) -> Iterator[str]:
    if functions:
        yield ""
        yield f"{title}:"
        for function in functions[:SHOWN]:
            yield f"  {len(function.lines):5}  {function.name} ({_name(function.file, root)}:{function.line})"
        yield from _more(len(functions))


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"         and {count - SHOWN} more; --json and --html list all"


def _shares(found: Measured) -> str:
    lines = f"{found.lines_reached} of {counted(len(found.lines), 'line')}"
    share = _percent(found.lines_reached, len(found.lines))
    return f"{lines} ({share}), {found.blocks_reached} of {counted(found.blocks, 'block')}"


def _functions(functions: tuple[Function, ...]) -> str:
    return f"{sum(function.blocks_reached > 0 for function in functions)} of {counted(len(functions), 'function')}"


def _percent(part: int, whole: int) -> str:
    """Rounded down: only all is 100 %."""
    return f"{100 * part // whole if whole else 100} %"


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _numbers(found: Measured) -> dict[str, int]:
    return {
        "lines": len(found.lines),
        "lines_reached": found.lines_reached,
        "blocks": found.blocks,
        "blocks_reached": found.blocks_reached,
    }


def _file(file: SourceFile, root: Path) -> dict[str, Any]:
    functions = [_function(function, root) for function in file.functions]
    lines = {state: [line.number for line in file.lines if line.state == state] for state in ("partly", "never")}
    return {"file": _name(file.path, root), **_numbers(file), "line_numbers": lines, "functions": functions}


def _function(function: Function, root: Path) -> dict[str, Any]:
    return {
        "function": function.name,
        "file": _name(function.file, root),
        "line": function.line,
        **_numbers(function),
    }
