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
            a name twice, or a number that is not finite or has too many digits.
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
            object_pairs_hook=unique,
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


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, of which Python would keep the last of a name.

    It is an `object_pairs_hook`.

    Raises:
        ValueError: if a name is there twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(
                f"each name must be in it once. Received: {name!r:.60} twice"
            )
        found[name] = value
    return found


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
