"""Text from outside, such as the names of files and classes."""

import unicodedata

# Control characters, parts of surrogates, and separators of lines.
ESCAPED = ("Cc", "Cs", "Zl", "Zp")
# They change the direction of the text that follows.
DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# The most characters of a value in an error.
MAX_SHOWN = 200


def printable(text: str) -> str:
    """Return a text that does nothing to a terminal but appear.

    Control characters other than line breaks, and bytes that are not Unicode,
    become escapes such as `\\x1b`.
    """
    return "".join(map(_escape, text))


def well_formed(text: str) -> str:
    """Return a text with escapes for bytes that are not Unicode.

    Names of files may have such bytes: `\\udce9` stands for one.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """Return a printable text without line breaks."""
    return printable(text).replace("\n", "\\n")


def shown(value: object) -> str:
    """Return the `repr` of a value, or its beginning."""
    try:
        return shortened(repr(value))
    except ValueError:
        return "an integer of too many digits"


def shortened(text: str) -> str:
    """Return a text for an error, or its beginning."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _escape(char):
    is_escaped = unicodedata.category(char) in ESCAPED or char in DIRECTIONS
    if is_escaped and char != "\n":
        return char.encode("unicode_escape").decode()
    return char
