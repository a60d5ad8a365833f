"""Writes whole numbers from 0 to 9999 in English, German, French and Roman.

This is the truth that train.py teaches and that heldout.json records.
"""

RANGE = range(0, 10000)
ROMAN_RANGE = range(1, 4000)

_ENGLISH_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve "
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

_GERMAN_SMALL = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf "
    "dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn"
).split()
_GERMAN_TENS = (
    "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"
).split()

_FRENCH_SMALL = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize "
    "quatorze quinze seize dix-sept dix-huit dix-neuf"
).split()
# Seventy and ninety count on from sixty and eighty.
_FRENCH_TENS = (
    "vingt trente quarante cinquante soixante soixante quatre-vingt "
    "quatre-vingt"
).split()

_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"),
    (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"),
    (4, "IV"), (1, "I"),
)


def english(number):
    """4207 -> 'four thousand two hundred seven' (no 'and')."""
    if number < 20:
        return _ENGLISH_SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        word = _ENGLISH_TENS[tens - 2]
        return f"{word}-{_ENGLISH_SMALL[ones]}" if ones else word
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    head, rest = divmod(number, unit)
    words = f"{_ENGLISH_SMALL[head]} {name}"
    return f"{words} {english(rest)}" if rest else words


def german(number):
    """4207 -> 'viertausendzweihundertsieben'."""
    if number < 20:
        return _GERMAN_SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        word = _GERMAN_TENS[tens - 2]
        return f"{_german_stem(ones)}und{word}" if ones else word
    unit, name = (1000, "tausend") if number >= 1000 else (100, "hundert")
    head, rest = divmod(number, unit)
    return _german_stem(head) + name + (german(rest) if rest else "")


def _german_stem(digit):
    """'eins' loses its s in front of another word."""
    return "ein" if digit == 1 else _GERMAN_SMALL[digit]


def french(number):
    """4207 -> 'quatre mille deux cent sept' (spelling from before 1990)."""
    if number < 100:
        return _french_below_100(number)
    unit, name = (1000, "mille") if number >= 1000 else (100, "cent")
    head, rest = divmod(number, unit)
    words = name if head == 1 else f"{_FRENCH_SMALL[head]} {name}"
    if rest:
        return f"{words} {french(rest)}"
    # Only a round number of hundreds takes the plural; mille never does.
    return words + "s" if unit == 100 and head > 1 else words


def _french_below_100(number):
    if number < 20:
        return _FRENCH_SMALL[number]
    tens, ones = divmod(number, 10)
    word = _FRENCH_TENS[tens - 2]
    if tens in (7, 9):
        ones += 10
    if ones == 0:
        return word + "s" if number == 80 else word
    # 21, 31, ..., 71 say 'et'; 81 and 91 do not.
    joint = " et " if ones in (1, 11) and tens < 8 else "-"
    return word + joint + _FRENCH_SMALL[ones]


def roman(number):
    """4 -> 'IV'; only 1..3999 can be written."""
    text = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        text += letters * count
    return text


LANGUAGES = {
    "english": english,
    "german": german,
    "french": french,
    "roman": roman,
}


def numbers_of(language):
    """Every number that can be written in `language`."""
    return ROMAN_RANGE if language == "roman" else RANGE
