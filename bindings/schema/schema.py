"""What of peft_c.h a binding must have, and what its sources lack of it."""

import dataclasses
import fnmatch
import re

# No binding needs to name it: the functions and macros that write the defaults
# write it too.
_WRITTEN_BY_INIT = "struct_size"

_COMMENTS = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)


class Sources:
    """The code of a binding without comments: texts by the paths of files."""

    def __init__(self, texts):
        self._texts = {path: _COMMENTS.sub(" ", text)
                       for path, text in texts.items()}
        self._words = {path: set(re.findall(r"\w+", text))
                       for path, text in self._texts.items()}
        self._literals = {literal for text in self._texts.values()
                          for literal in re.findall(r'"([A-Z0-9_]+)"', text)}

    def has_word(self, word):
        return any(word in words for words in self._words.values())

    def has_literal(self, text):
        return text in self._literals

    def has_field(self, struct, field):
        """A file that names the struct uses a field of this name."""
        return any(struct in words and self._uses(path, field)
                   for path, words in self._words.items())

    def has_field_in(self, file, field):
        """The file of this name uses a field of this name."""
        return any(path.split("/")[-1] == file and self._uses(path, field)
                   for path in self._texts)

    def _uses(self, path, field):
        """`.field`, `->field`, `field:`, or a line `field,` of a literal."""
        pattern = (rf"(\.|->){field}\b|\b{field}\s*:|"
                   rf"^\s*{field},\s*$")
        return bool(re.search(pattern, self._texts[path], re.MULTILINE))


@dataclasses.dataclass(frozen=True)
class Allowance:
    """Names that may be missing: all that the pattern matches, or those whose
    field is used in `file`, which serves several structs."""
    pattern: str
    file: str
    reason: str

    def allows(self, name, sources):
        if not fnmatch.fnmatchcase(name, self.pattern):
            return False
        return not self.file or sources.has_field_in(
            self.file, name.rpartition(".")[2])


def missing(header, error_ids, sources):
    """The names of what `sources` lack: peft_model_open, PEFT_DTYPE_F32,
    peft_layer_t.name, error.HUB_OFFLINE."""
    names = [function.name for function in header.functions]
    names += [constant.name for constant in header.constants]
    found = [name for name in names if not sources.has_word(name)]
    found += [f"{struct.name}.{field.name}" for struct in header.structs
              for field in struct.fields
              if field.name != _WRITTEN_BY_INIT and
              not sources.has_field(struct.name, field.name)]
    found += [f"error.{error.id}" for error in error_ids
              if not sources.has_literal(error.id)]
    return found


def parse_exceptions(text):
    """The lines of `text`, "pattern: reason" or "pattern in file: reason". A
    pattern may have stars. Lines that begin with # and empty ones do not
    count."""
    exceptions = []
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)(?: in (\S+))?: (\S.*)", line)
        if not match:
            raise ValueError(f'expected "pattern: reason", found {line!r}')
        exceptions.append(Allowance(match.group(1), match.group(2) or "",
                                     match.group(3)))
    return exceptions


def problems(names, exceptions, sources):
    """What is wrong when `names` are missing: those that no exception allows,
    and the exceptions that nothing needs."""
    found = [f"{name} is missing" for name in names
             if not any(exception.allows(name, sources)
                        for exception in exceptions)]
    found += [f"the exception {exception.pattern} is not needed"
              for exception in exceptions
              if not any(exception.allows(name, sources) for name in names)]
    return found
