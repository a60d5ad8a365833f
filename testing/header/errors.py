"""The error ids that docs/errors.md lists."""

import dataclasses
import re
import typing

_ROW = re.compile(r"\| `([A-Z0-9_]+)` \| ([A-Z_, ]+) \| (.+) \| (.+) \|")
_HEAD = ("| id | code | cause | cure |", "|---|---|---|---|")


@dataclasses.dataclass(frozen=True)
class ErrorId:
    """`codes` are names such as "NOT_FOUND"; the texts are Markdown."""
    id: str
    codes: typing.Tuple[str, ...]
    cause: str
    cure: str
    section: str


def parse_errors(text):
    """All ids, in order. Raises ValueError for a line of a table that is no
    row of one."""
    errors, section = [], ""
    for line in text.split("\n"):
        if line.startswith("## "):
            section = line[3:]
        if not line.startswith("|") or line in _HEAD:
            continue
        match = _ROW.fullmatch(line)
        if not match:
            raise ValueError(f"no row of an error: {line!r}")
        errors.append(ErrorId(match.group(1),
                              tuple(match.group(2).split(", ")),
                              match.group(3), match.group(4), section))
    ids = [error.id for error in errors]
    if not ids or len(set(ids)) != len(ids):
        raise ValueError("no ids, or one twice")
    return tuple(errors)
