"""Remembers what happened to each verb, method and site kind, and writes it
as the table of docs/parity.md."""

import collections
import re

PASS, REFUSED, NOT_YET = "pass", "refused", "not yet"
BEGIN = "<!-- made by testing/conformance: begin -->"
END = "<!-- made by testing/conformance: end -->"


class Base:
    """Stands in the table for a model without adapters."""

    def __init__(self, label, kind):
        self.labels, self.kinds = {label}, {kind}


class Recorder:
    """What was seen, by (method, site kind, verb)."""

    def __init__(self):
        self.seen = collections.defaultdict(collections.Counter)
        self.refusals = {}  # (method, verb) -> text for the table's notes
        self.reasons = collections.Counter()  # of what is not there yet

    def add(self, verb, adapters, outcome, note=None):
        """`adapters`: those that the verb concerned."""
        for adapter in adapters:
            for method in adapter.labels:
                for kind in adapter.kinds:
                    self.seen[method, kind, verb][outcome] += 1
                if outcome == REFUSED and note:
                    self.refusals[method, verb] = note
        if outcome == NOT_YET:
            labels = sorted({m for a in adapters for m in a.labels})
            self.reasons[verb, ", ".join(labels), note or ""] += 1

    def outcome(self, cell):
        """What the table says: the best that was seen."""
        for outcome in (PASS, REFUSED, NOT_YET):
            if self.seen[cell][outcome]:
                return outcome
        return None


def _rows(cells, methods, kinds):
    return sorted({cell[:2] for cell in cells}, key=lambda row: (
        methods.index(row[0]) if row[0] in methods else len(methods), row[0],
        kinds.index(row[1]) if row[1] in kinds else len(kinds), row[1]))


def _table(recorder, methods, kinds, verbs, notes):
    """The lines of the table of these verbs; adds to `notes`."""
    cells = [c for c in recorder.seen if c[2] in verbs and recorder.outcome(c)]
    columns = [verb for verb in verbs if any(c[2] == verb for c in cells)]
    lines = ["| method | site | " + " | ".join(columns) + " |",
             "|---" * (len(columns) + 2) + "|"]
    for method, kind in _rows(cells, methods, kinds):
        texts = []
        for verb in columns:
            outcome = text = recorder.outcome((method, kind, verb)) or ""
            if outcome == REFUSED:
                note = recorder.refusals.get((method, verb), "")
                text += f" [{notes.setdefault(note, len(notes) + 1)}]"
            texts.append(text)
        lines.append(f"| {method} | {kind} | " + " | ".join(texts) + " |")
    return lines + [""] if cells else []


def render(recorder, methods, kinds, verb_groups, summary):
    """Markdown: a table for each group of verbs, with a row for each method
    and site kind."""
    notes, lines = {}, [BEGIN, "", summary, ""]
    for verbs in verb_groups:
        lines += _table(recorder, methods, kinds, verbs, notes)
    for note in sorted(set(recorder.refusals.values()) - set(notes)):
        notes[note] = len(notes) + 1
    lines += ["Refused, in some or all cases:", ""] if notes else []
    lines += [f"{number}. {note}" for note, number in notes.items()]
    merged = collections.Counter()
    for (verb, _, note), count in recorder.reasons.items():
        merged[verb, note] += count
    if merged:
        lines += ["", "Not yet:", ""]
    lines += [f"- {verb}: {note} ({count} times)"
              for (verb, note), count in sorted(merged.items())]
    return "\n".join(lines + ["", END]) + "\n"


def write_table(path, text):
    """Puts `text` between the marks of the file at `path`."""
    old = path.read_text()
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1].lstrip("\n")
    path.write_text(before + text + ("\n" + after if after else ""))


def read_table(path):
    """(method, site kind, verb) -> outcome of a table that was written."""
    text = path.read_text().split(BEGIN)[1].split(END)[0]
    header, cells = None, {}
    for line in text.splitlines():
        if not line.startswith("| "):
            continue
        row = [cell.strip() for cell in line.strip("| ").split("|")]
        if row[0] == "method":
            header = row
            continue
        for verb, text in zip(header[2:], row[2:]):
            outcome = re.sub(r" \[\d+\]$", "", text)
            if outcome:
                cells[row[0], row[1], verb] = outcome
    return cells


def read_reasons(path):
    """(verb, reason) of what the file says is not there yet."""
    text = path.read_text().split(BEGIN)[1].split(END)[0]
    lines = text.partition("\nNot yet:\n")[2].splitlines()
    return {tuple(re.sub(r" \(\d+ times\)$", "", line[2:]).split(": ", 1))
            for line in lines if line.startswith("- ")}


def contradictions(recorder, table, reasons):
    """Lines: what the table says that this run saw otherwise. A run may have
    seen the refusals of a cell only, where a longer one saw it pass, too; and
    what is not there yet, where it says so for the same reason."""
    lines = [f"{verb}: not yet: {note!r} is not listed"
             for verb, _, note in sorted(recorder.reasons)
             if (verb, note) not in reasons]
    for cell in sorted(recorder.seen):
        seen, written = recorder.outcome(cell), table.get(cell)
        fits = seen == written or written == PASS
        if seen and not fits:
            lines.append(f"{cell}: {seen}, the table says {written!r}")
    return lines
