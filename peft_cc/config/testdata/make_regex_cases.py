#!/usr/bin/env python3
"""Writes regex_cases.json: what Python's re answers for patterns and texts.

    python3 make_regex_cases.py > regex_cases.json

Run with Python 3.11, whose syntax python_regex.h implements; the output is
the same each time. Each case is {"p": pattern} with "e" (re.compile refuses
it) or "t": [[text, bits], ...], where bits are fullmatch, match and search.
"""

import json
import random
import re
import signal
import sys
import warnings

SEED = 20260901
RANDOM_PATTERNS = 1100
BROKEN_PATTERNS = 300
LETTERS = "ab1_.-"
TEXT_LETTERS = "aabb1_.- \nAkKiIsS\u017f\u212a\u0130\u0131\u00e9\u0663\u00a0"

# Patterns as people write them for PEFT.
PEFT_PATTERNS = [
    r".*\.(q_proj|v_proj)",
    r".*(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj$",
    r"(.*\.)?(q_proj)$",
    r"(.*\.)?(^model.layers.0.self_attn.q_proj)$",
    r"(.*\.)?(.*layers\.[0-3]\..*)$",
    r"(.*\.)?(a)(b)$",
    r".*language_model\..*\.(q_proj|v_proj)",
    r"^(?!.*visual).*\.(?:q|v)_proj",
    r"model\.layers\.(?:[0-9]|1[0-5])\.mlp\.\w+_proj",
    r".*\d+\.(?P<part>self_attn|mlp)\.\S+",
    r"(?:^|.*?\.)layers\.(?P<idx>\d+)\.",
    r".*?\.[^.]*\.(?P<idx>\d+)\.",
    r"(?i).*Q_PROJ",
    r"q_proj",
]

PEFT_TEXTS = [
    "q_proj",
    "Q_proj",
    "layers.7",
    "model.layers.0.self_attn.q_proj",
    "model.layers.12.self_attn.v_proj",
    "model.layers.3.mlp.gate_proj",
    "model.visual.blocks.1.attn.q_proj",
    "language_model.model.layers.0.self_attn.v_proj",
    "lm_head",
]

# Each a corner of the syntax; many are errors.
CORNERS = r"""
a\Z  a$  \Aa  ^a  a\z  \Ga  \Ka  \Ra  \ha  \Qa\E  \pL  \X  \C  \ca  \ea
(?m)^a$  (?s)a.b  a.b  (?x)a\ b#c  (?x:a\ b)a  (?x)[#a]+  (?i)K  (?ai)K
(?i)[j-l]  (?i)s  (?i)[^s]  (?i)i  (?ai)i  (?i:a)b  (?-i:a)  (?i-s:a.)
(?s-i:A.)  (?i)(?-i:a)b  (?m-m:a)  (?u)a  (?a)\w  (?a:\w)\w  (?au)a  (?L)a
(?a-u:b)  a(?i)  (?i  (?i-  (?i-)  (?-)  (?q)  (?i:  (?iq)  (?#c)(?i)a
(?i)(?m)^A  |(?i)a  ((?i)a)  (?P<n>a)(?P=n)  (?P<n>a)(?P<n>b)  (?P<1>a)
(?P<n  (?P<>a)  (?P=n)  (?P=  (?Pn)  (?P>n)  (?<n>a)  (?'n'a)  (a)\1  (a)\2
\1(a)  (a\1)  (a)|\1b  (a)?\1b  (?:(a)|b)*\1  (a)(b)(1)\3\2\1  \0  \00a  \012
\101  \400  \377  \8  (a)\18  [\8]  [\101]  [\400]  \x41  \x4  [\x41-\x43]
\u0041  \u004  \U00000041  \U00110000  \N  \N{  \N{}  \q  [\q]  [\b]  [\B]
[\A]  [\Z]  [\d-a]  [a-\d]  [b-a]  [a-]  [-a]  [a-b-1]  []a]  [^]a]  []  [^]
[]  [a  [a-  [[:alpha:]]  [[a]]  [[]a]]  [a&&b]  [a||b]  [a~~b]  [--a]  [\]]
[^\W]  [\W]  [\Wa]  [^\Wa]  [\W\d]  [^\W\d]  [\D1]  [^\D]  [\S]  [\S\n]  [^\s]
[\w.]  [\w-]  [\w-a]  (?a)[\W]  (?a)[^\W\d]  (?a)[\S]+  (?a)[\D]  a{2}  a{2,}
a{,2}  a{,}  a{}  a{  a{1  a{1,  a{,1  a{1,2  a{-1}  a{2,1}  a{1 }  a{ 1}
a{4294967295}  a{99999999999999999999}  a{0}  a{0,0}b  {1}  x{1}{2}  {a}  a|{1}
a**  a*+  a*?  a*??  a*+?  a++  a+++  a?+  a??  a???  a{1}+  a{1}?  a{1,2}+a
(?:a|ab)++b  (?>a|ab)b  (?>a*)a  a*+a  (?:a?)*+b  *a  +a  ?a  (*a)  (+)  (|*)
^*  $*  \b*  (?:^)*a  (?=a)*  (?=a)+ab  (?!a)?b  (?<=a)*b  (?:)*  ()*  (|a)+
(?:|a)+  (?:a|)+b  (a*)*  (a*)+b  (?:a*)*b  (?:a?b?)*  (?:a*?)*?b  (a|b)*?b$
(?<=a)b  (?<!a)b  (?<=ab|b1)_  (?<=a|b1)_  (?<=a+)b  (?<=a*)b  (?<=a{2})b
(?<=a{2}+)b  (?<=(a))b  (?<=(a)\1)b  (a)(?<=\1)b  (a*)(?<=\1)b  (?<=^a)b
(?<=\ba)b  (?<=(?=a).)b  (?<=(?<!b)a)b  (?<=)a  (?<=a|)b  (?<=(?:)*)a
(?<=(?>a))b  (?<a)  (?<  (?<=a  (?=a  (?!a  (?=  (?:a  (?:  (  )  a)  (a
(?=(a))\1  (?!(a))b  (?=a|b)[ab]1  (?#  (?#c)  (?#c)*  a(?#c)*  (?#a\)b)c
(?(1)a|b)  (a)?(?(1)b|1)  (a)?(?(1)b)1  (a)(?(1)a|b|1)  (?(0)a)  (?(2)a)(b)
(?(1)a|b)(_)  (?P<n>a)?(?(n)b|1)  (?(n)a)  (?(a|b)  (?(?=a)a|b)  (?(1  (?(1)
((?(1)a|b))  (a)?(?<=(?(1)a|b))1  (a(?<=(?(1)a|b))b)  (?R)  (?1)  (?&n)  (?|a)
(?0)  (?+1)  (?C)  (?*a)  (?^a)  (?~a)  (*UTF)a  (*COMMIT)  (*F)  (?=a)b|a
\b  \B  a\b  \ba\b  \Ba  a\B  \b\B  .\b.  (?a)\b  (?a).\B.  (?m)^  (?m)$
(?m)a$\nb  (?m)^b  (?m)\Ab  (?m)a\Z  a$b  a^b  (?m)$^  a\.b  a\-b  \_
\é  é  [é]  [à-ÿ]  \u00e9  .  ..  [^a]  [^\n]  \d  \D  \s  \S  \w  \W  \d+\w
\t\n\r\f\v\a  \\  [\\]  [\^]  [a^]  \^  \$  \(  \)  a|b|  |a  ||  ()  (?:)
(?:(?:(?:a)))  ((((a))))\4  (a)(?:b(1))\2  a#b  \#  a\ b  [.]  [.*+?]  [$]
[a-z0-9_]+  [^.]*\.[^.]*  (?s:.)  (?s).  (?-s:.)  (?s)(?-s:.)  (?x)  (?x)a b # c
"""

UNICODE_TEXTS = [
    "", "a", "b", "ab", "aab", "abb", "aaa", "a\n", "\n", "a\nb", "\na", "ab1",
    "a1", "b1_", "aa", "A", "k", "K", "\u212a", "s", "\u017f", "i", "I",
    "\u0130", "\u0131", "\u00e9", "\u00c9", "e\u0301", "\u0663", "\u00b2",
    "\u2167", "\u5b57", "\u203f", "\u00a0", "\u0085", "\x1c", "\u180e",
    "\u200b", "\U0001d7d8", "\U0001f600", "_", "-", ".", " ", "1", "a.b",
    "a b", "[", "]", "\\", "{", "a{", "a{1", "a{1,2", "\x00", "\x08", "(", "*",
]


class TooLong(Exception):
    pass


def on_alarm(signum, frame):
    raise TooLong()


def answer(pattern, text):
    """Three bits, or None where Python itself takes too long or gives up."""
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        found = [re.fullmatch(pattern, text), re.match(pattern, text),
                 re.search(pattern, text)]
        return "".join("01"[match is not None] for match in found)
    except (TooLong, SystemError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def case(pattern, texts):
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, ValueError, RecursionError):
        return {"p": pattern, "e": 1}
    answers = [[text, answer(compiled, text)] for text in texts]
    return {"p": pattern, "t": [one for one in answers if one[1]]}


class Generator:
    """Random patterns: mostly valid, small enough to be matched at once."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.groups = 0

    def pattern(self):
        self.groups = 0
        flags = self.random.choice([""] * 12 + ["(?i)", "(?m)", "(?s)", "(?a)",
                                                "(?ms)", "(?ai)", "(?x)"])
        return flags + self.branches(3)

    def branches(self, depth):
        count = self.random.choice([1, 1, 1, 2, 3])
        return "|".join(self.sequence(depth) for _ in range(count))

    def sequence(self, depth):
        return "".join(self.item(depth)
                       for _ in range(self.random.choice([0, 1, 1, 2, 2, 3])))

    def item(self, depth):
        atom = self.atom(depth)
        if self.random.random() < 0.35 and atom not in ANCHORS:
            atom += self.random.choice(
                ["*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "{0}"])
            atom += self.random.choice(["", "", "", "?", "+"])
        return atom

    def atom(self, depth):
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            return self.random.choice(SIMPLE)
        if kind < 0.5:
            return self.char_set()
        if kind < 0.58:
            return self.random.choice(ANCHORS)
        if kind < 0.7:
            self.groups += 1
            return "(" + self.branches(depth - 1) + ")"
        if kind < 0.76 and self.groups:
            number = self.random.randint(1, self.groups)
            return self.random.choice(["\\%d", "(?(%d)a|b)", "(?(%d)ab)"]) % (
                number)
        if kind < 0.86:
            return "(?:" + self.branches(depth - 1) + ")"
        opening = self.random.choice(["(?=", "(?!", "(?<=", "(?<!", "(?>",
                                      "(?i:", "(?s:", "(?m:", "(?x:", "(?-i:"])
        return opening + self.branches(depth - 1) + ")"

    def char_set(self):
        members = [self.random.choice(SET_MEMBERS)
                   for _ in range(self.random.randint(1, 3))]
        return "[" + self.random.choice(["", "^"]) + "".join(members) + "]"

    def broken(self):
        """A valid pattern with a few characters put in, taken or swapped."""
        pattern = list(self.pattern())
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(pattern))
            if self.random.random() < 0.6:
                pattern.insert(at, self.random.choice(NOISE))
            elif pattern:
                pattern.pop(min(at, len(pattern) - 1))
        return "".join(pattern)

    def text(self):
        length = self.random.choice([1, 1, 2, 2, 3, 3, 4, 5, 6, 8])
        letters = self.random.choice(["ab", LETTERS, TEXT_LETTERS])
        return "".join(self.random.choice(letters) for _ in range(length))


SIMPLE = ["a", "b", "a", "b", "1", "_", ".", "\\.", "\\d", "\\w", "\\s", "\\W",
          "\\D", "\\S", "k", "i", "s", "\\n", "-", "\\x61", "A"]
ANCHORS = ["^", "$", "\\b", "\\B", "\\A", "\\Z"]
SET_MEMBERS = ["a", "b", "a-b", "1", "\\d", "\\w", "\\W", "\\s", "\\S", "\\D",
               ".", "-", "_", "k", "i-s", "\\n", "A-Z"]
NOISE = ["*", "+", "?", "{", "}", "{1", ",", "(", ")", "[", "]", "|", "\\",
         "(?", "(?P<n>", "(?P=n)", "(?#", "\\1", "\\2", "^", "$", "-", "a",
         "\\h", "\\K", "\\Q", "(?R)", "(*F)", "(?i)", "\\08", "[^", ":", "<"]


def make_cases():
    generator = Generator(SEED)
    cases = [case(pattern, PEFT_TEXTS) for pattern in PEFT_PATTERNS]
    for pattern in dict.fromkeys(re.split(r" {2,}|\n", CORNERS.strip())):
        texts = generator.random.sample(UNICODE_TEXTS, 14)
        cases.append(case(pattern, texts))
    for _ in range(RANDOM_PATTERNS):
        texts = [generator.text() for _ in range(3)]
        cases.append(case(generator.pattern(), [""][:len(cases) % 2] + texts))
    cases += [case(generator.broken(), ["ab"]) for _ in range(BROKEN_PATTERNS)]
    # One case for each pattern.
    return list({one["p"]: one for one in cases}.values())


def main():
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, on_alarm)
    cases = make_cases()
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases)
    sys.stdout.write("[\n" + lines + "\n]\n")
    answers = sum(len(one.get("t", [])) for one in cases)
    refused = sum("e" in one for one in cases)
    print(f"{len(cases)} patterns, {refused} refused, {answers} texts",
          file=sys.stderr)


if __name__ == "__main__":
    main()
