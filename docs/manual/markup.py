"""Comments of the header as HTML, with links from every name that is known."""

import html
import re

# A name of the header, in backquotes or not, the id of an error in quotes, a
# file, other code, an emphasised word, a status's code.
_NAME = re.compile(r"`(\w+)`|\b(PEFT_[A-Z0-9_]+_)\.\.\.|"
                   r"\b(peft_\w+|PEFT_\w+|DLManagedTensor)\b|"
                   r'"([A-Z][A-Z0-9_]{2,})"|(?:docs/)?\b([\w-]+\.md)\b|'
                   r"`([^`]+)`|\*(\w[\w -]*)\*|\b([A-Z][A-Z_]{5,})\b")


def _slug(text):
    """`text` as a part of an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class Links:
    """Where names lead: addresses by name, by id and by file."""

    def __init__(self, anchors, error_ids, files):
        self._anchors = anchors
        self._error_ids = frozenset(error_ids)
        self._files = files

    def to(self, name):
        """The address of `name`, or None."""
        return self._anchors.get(name)

    def name(self, text, shown=None):
        """`text` as code, linked where it is known."""
        shown = html.escape(shown or text)
        address = self.to(text)
        if address is None:
            return f"<code>{shown}</code>"
        return f'<a href="{address}"><code>{shown}</code></a>'

    def _replacement(self, match):
        quoted, group, bare, error_id, file, code, stress, status = (
            match.groups())
        if stress:
            return f"<em>{stress}</em>"
        if status:
            address = self.to("PEFT_" + status)
            return f'<a href="{address}">{status}</a>' if address else status
        if group:
            return self.name(group, group + "...")
        if error_id:
            if error_id in self._error_ids:
                return f'"{self.name("error " + error_id, error_id)}"'
            return f'"{html.escape(error_id)}"'
        if file:
            address = self._files.get(file)
            shown = match.group()
            return f'<a href="{address}">{shown}</a>' if address else shown
        return self.name(quoted or bare or code)

    def inline(self, text):
        """`text` with code and links."""
        parts, end = [], 0
        for match in _NAME.finditer(text):
            parts.append(html.escape(text[end:match.start()], quote=False))
            parts.append(self._replacement(match))
            end = match.end()
        return "".join(parts + [html.escape(text[end:], quote=False)])

    def paragraphs(self, text):
        """A comment: paragraphs by empty lines. Lines that are indented go on
        with the term before, or are a list where the line before ends in a
        colon."""
        return "\n".join(self._paragraph(part) for part in
                         re.split(r"\n\s*\n", text) if part.strip())

    def _paragraph(self, text):
        lines = text.strip("\n").split("\n")
        if all(line.startswith("  ") for line in lines):
            code = "\n".join(line[2:] for line in lines)
            return f"<pre><code>{html.escape(code, quote=False)}</code></pre>"
        if "\n  " in text and ":\n  " in text:
            return self._with_list(lines)
        return f"<p>{self.inline(' '.join(line.strip() for line in lines))}</p>"

    def _with_list(self, lines):
        """A paragraph with a list in it, whose items are indented."""
        before, items, after = [], [], []
        for line in lines:
            indent = len(line) - len(line.lstrip())
            if indent == 0:
                (after if items else before).append(line)
            elif indent == 2 or not items:
                items.append(line.strip())
            else:
                items[-1] += " " + line.strip()
        found = [f"<p>{self.inline(' '.join(before))}</p>", "<ul>"]
        found += [f"<li>{self.inline(item)}</li>" for item in items]
        found.append("</ul>")
        if after:
            found.append(f"<p>{self.inline(' '.join(after))}</p>")
        return "\n".join(found)

    def terms(self, text):
        """The conventions: each begins with "Term: ", or with a word that says
        what it is about, and goes on in lines that are indented."""
        found = []
        for line in text.split("\n"):
            if line.startswith("  ") and found:
                found[-1] += " " + line.strip()
            elif line.strip():
                found.append(line.strip())
        rows = []
        for text in found:
            match = re.match(r"([A-Z][^:.;`]{0,40}): ", text)
            term = match.group(1) if match else text.split(" ")[0]
            rest = text[match.end():] if match else text
            rest = rest[:1].upper() + rest[1:]
            rows.append(f'<dt id="convention-{_slug(term)}">'
                        f"{html.escape(term)}</dt>"
                        f"<dd>{self.inline(rest)}</dd>")
        return '<dl class="terms">\n' + "\n".join(rows) + "\n</dl>"

    def markdown(self, text):
        """A cell of a table in Markdown: code, and links to other files."""
        parts = re.split(r"(\[[^\]]*\]\([^)]*\))", text)
        found = []
        for part in parts:
            match = re.fullmatch(r"\[([^\]]*)\]\(([^)]*)\)", part)
            if match:
                address = self._files.get(match.group(2))
                found.append(f'<a href="{address}">{match.group(1)}</a>'
                             if address else html.escape(match.group(1)))
            else:
                found.append(self.inline(part))
        return "".join(found)
