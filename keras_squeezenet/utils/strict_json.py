"""Read untrusted JSON: standard values only, of bounded size and depth."""

import json
import math
from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_DIGITS = 20


def loads(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: if it is not JSON in UTF-8, is too long or too deep, or has
            a number that is not finite or has too many digits.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"its JSON must have at most {MAX_BYTES:,} bytes. Received: "
            f"{len(content):,} bytes"
        )
    too_deep = f"its JSON must be at most {MAX_DEPTH} levels deep"
    try:
        value = json.loads(
            content.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError as error:
        raise ValueError(too_deep) from error
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
    if level:
        raise ValueError(too_deep)
    return value


def _children(value):
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _float(text):
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _int(text):
    return int(text) if len(text) <= MAX_DIGITS else _refuse(text)


def _refuse(text):
    raise ValueError(
        f"the numbers of its JSON must be finite, whole ones with at most "
        f"{MAX_DIGITS} digits. Received: {text[:30]}"
    )
