"""The words of a C header: comments and directives are among them."""

import dataclasses
import re


class HeaderError(Exception):
    """Something in the header that this parser does not understand."""

    def __init__(self, line, message):
        super().__init__(f"line {line}: {message}")


@dataclasses.dataclass(frozen=True)
class Token:
    """`kind` is "comment", "directive", "word", "number", "string", "mark" or
    "end". The text of a comment is without its frame; that of a directive is
    one line, without comments, and `note` is the comment behind it."""
    kind: str
    text: str
    line: int
    end_line: int
    note: str = ""


_SPACE = re.compile(r"[ \n]+")
_COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
_DIRECTIVE = re.compile(r"#(?:[^\n\\]|\\\n)*")
_TOKENS = (
    ("word", re.compile(r"[A-Za-z_]\w*")),
    ("number", re.compile(r"-?\d[\w.]*(?:[eE][-+]?\d+)?")),
    ("string", re.compile(r'"[^"\\\n]*"')),
    ("mark", re.compile(r"[{}()\[\];,*]")),
)


def comment_text(framed):
    """What stands between /* and */, without the frame's stars."""
    lines = framed.split("\n")
    rest = [re.sub(r"^ *\* ?", "", line) for line in lines[1:]]
    return "\n".join([lines[0].strip()] + [line.rstrip()
                                           for line in rest]).strip()


def _directive(text, line):
    """A directive of one or several lines."""
    joined = " ".join(part.strip() for part in text.split("\\\n"))
    notes = _COMMENT.findall(joined)
    bare = _COMMENT.sub("", joined).strip()
    if "/*" in bare or "//" in bare or len(notes) > 1:
        raise HeaderError(line, f"a comment in {text!r}")
    return Token("directive", bare, line, line + text.count("\n"),
                 comment_text(notes[0]) if notes else "")


def _next(text, position, line):
    """The token at `position`, and the position behind it."""
    match = _COMMENT.match(text, position)
    if match:
        return Token("comment", comment_text(match.group(1)), line,
                     line + match.group().count("\n")), match.end()
    match = _DIRECTIVE.match(text, position)
    if match:
        return _directive(match.group(), line), match.end()
    for kind, pattern in _TOKENS:
        match = pattern.match(text, position)
        if match:
            return Token(kind, match.group(), line, line), match.end()
    raise HeaderError(line, f"{text[position:position + 20]!r} is unknown")


def split(text):
    """All tokens of `text`; the last one is an "end"."""
    tokens = []
    position, line = 0, 1
    while True:
        space = _SPACE.match(text, position)
        if space:
            line += space.group().count("\n")
            position = space.end()
        if position == len(text):
            return tokens + [Token("end", "", line, line)]
        token, position = _next(text, position, line)
        line = token.end_line
        tokens.append(token)
