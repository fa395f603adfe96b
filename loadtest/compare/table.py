"""Aligned text tables: the first column to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = dict[str, float | str]
Columns = Mapping[str, tuple[str, str]]  # a row's key -> (heading, format)


def table(title: str, rows: Sequence[Row], columns: Columns) -> str:
    """The rows as text; columns that no row has are left out, a value that a row has not is "-"."""
    shown = {key: column for key, column in columns.items() if any(key in row for row in rows)}
    cells = [["target", *(head for head, _ in shown.values())]]
    cells += [
        [str(row["target"]), *(format(row[key], spec) if key in row else "-" for key, (_, spec) in shown.items())] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join([title, *(_line(line, widths) for line in cells)])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = cells
    return "  ".join([first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))])
