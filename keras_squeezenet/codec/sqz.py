"""The .sqz file: entropy-coded arrays and a JSON header.

`SQZ.md` in this folder specifies the format.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import streams
from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json

SUFFIX = ".sqz"
MAGIC = b"\x89SQZ\r\n\x1a\n"
VERSION = 1
DIGEST_BYTES = 16
_HEAD = struct.Struct(f"<8sB{DIGEST_BYTES}s")
_LENGTH = struct.Struct("<I")
# Limits on the memory that a file can take: a dozen SqueezeNets.
MAX_BYTES = 1 << 26
MAX_HEADER_BYTES = strict_json.MAX_BYTES
MAX_ARRAYS = 1024
MAX_NUMBERS = 1 << 24
# The values of "form" in the header.
FORMS = {
    encodings.PlainArray: "plain",
    encodings.CodebookArray: "shared",
    encodings.UniformArray: "stepped",
}
# Numbers are split into four streams of bytes, most significant bytes first.
_PLANES = 4


def dump(header: dict, arrays: dict[str, encodings.Array]) -> bytes:
    """Encode a header and arrays as the content of a .sqz file.

    `"arrays"` is added to the header, whose values must be JSON-compatible.

    Raises:
        ValueError: if the arrays are too many or too large for a file.
    """
    rows, codes, deltas = [], [], []
    numbers: list[Any] = []
    for name, array in arrays.items():
        row: dict[str, Any] = {"name": name, "form": FORMS[type(array)]}
        rows.append(row)
        if isinstance(array, encodings.PlainArray):
            row["shape"] = list(array.values.shape)
            numbers.append(array.values)
            continue
        row["shape"] = list(array.codes.shape)
        codes.append(array.codes)
        if isinstance(array, encodings.UniformArray):
            numbers.append(array.step)
            continue
        row["entries"] = len(array.codebook)
        ordered = encodings.to_ordered(array.codebook)
        deltas.append(np.diff(ordered, prepend=np.uint32(0)))
    _sizes(rows)
    text = json.dumps({**header, "arrays": rows}, separators=(",", ":"))
    _require(
        len(text) <= MAX_HEADER_BYTES,
        f"the header must have at most {MAX_HEADER_BYTES:,} bytes",
        f"{len(text):,} bytes",
    )
    coded = streams.encode(
        [*codes, *_planes(deltas, "uint32"), *_planes(numbers, "float32")]
    )
    packed = zlib.compress(text.encode(), 9)
    body = _LENGTH.pack(len(packed)) + packed + coded
    return _HEAD.pack(MAGIC, VERSION, _digest(body)) + body


def read_header(path: str | os.PathLike) -> dict:
    """Return the header of a .sqz file, without decoding any array."""
    content = read_bytes(path)
    with explained(path):
        return _open(content)[0]


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return the content of a .sqz file, if its size is within the limit."""
    files.require_regular(path)
    with explained(path), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        _require(
            size <= MAX_BYTES,
            f"the file must have at most {MAX_BYTES:,} bytes",
            f"{size:,} bytes",
        )
        return file.read(size)


@contextlib.contextmanager
def explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn errors of damaged content into a `ValueError` with the path."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"its header is wrong ({type(error).__name__}: {reason})"
        raise ValueError(
            f"{path} cannot be read as a .sqz file: {reason}"
        ) from error


def load(content: bytes) -> tuple[dict, dict[str, encodings.Array]]:
    """Decode the header and the arrays in the content of a .sqz file.

    Raises:
        ValueError: if it is not a .sqz file, or damaged.
    """
    header, coded = _open(content)
    rows = header["arrays"]
    parts = streams.decode(coded, _sizes(rows))
    codes = iter(parts[: -2 * _PLANES])
    deltas = _join(parts[-2 * _PLANES : -_PLANES])
    numbers = _join(parts[-_PLANES:])
    arrays = {row["name"]: _array(row, codes, deltas, numbers) for row in rows}
    _require(
        len(arrays) == len(rows),
        "the arrays must have different names",
        f"{len(rows)} arrays with {len(arrays)} names",
    )
    return header, arrays


def _array(row, codes, deltas, numbers):
    shape = row["shape"]
    if row["form"] == "plain":
        values = _take(numbers, math.prod(shape), "f4")
        return encodings.PlainArray(values.reshape(shape))
    code = next(codes).reshape(shape)
    if row["form"] == "stepped":
        return encodings.UniformArray(code, float(_take(numbers, 1, "f4")[0]))
    entries = row["entries"]
    if code.size:
        _require(
            0 <= code.min() <= code.max() < entries,
            f"{row['name']!r} must have codes from 0 to {entries - 1}",
            f"{code.min()} to {code.max()}",
        )
    ordered = np.cumsum(_take(deltas, entries, "u4"), dtype="uint32")
    return encodings.CodebookArray(code, encodings.from_ordered(ordered))


def _sizes(rows):
    """Return the sizes of the streams that the rows of a header need.

    These are the codes of each array that has codes, four streams for the bytes
    of all codebooks, and four for those of all other numbers.
    """
    _require(
        len(rows) <= MAX_ARRAYS,
        f"the file must have at most {MAX_ARRAYS} arrays",
        len(rows),
    )
    codes, entries, numbers = [], 0, 0
    for row in rows:
        _require(
            _is_row(row),
            "a row of the header must have a name, a form and a shape",
            repr(row),
        )
        count = math.prod(row["shape"])
        if row["form"] == "plain":
            numbers += count
            continue
        codes.append(count)
        if row["form"] == "shared":
            entries += row["entries"]
        else:
            numbers += 1
    total = sum(codes) + entries + numbers
    _require(
        total <= MAX_NUMBERS,
        f"the arrays must have at most {MAX_NUMBERS:,} numbers",
        f"{total:,} numbers",
    )
    return codes + _PLANES * [entries] + _PLANES * [numbers]


def _is_row(row):
    if not isinstance(row, dict) or not isinstance(row.get("shape"), list):
        return False
    form, counts = row.get("form"), list(row["shape"])
    if form == "shared":
        counts.append(row.get("entries"))
    return (
        isinstance(row.get("name"), str)
        and form in FORMS.values()
        and all(type(count) is int and count >= 0 for count in counts)
    )


def _planes(parts, dtype):
    """Split numbers into bytes, the most significant ones first."""
    values = np.concatenate(
        [np.zeros(0, dtype), *(np.ravel(part).astype(dtype) for part in parts)]
    )
    planes = values.view("uint32").astype(">u4").view("u1")
    return list(planes.reshape(-1, _PLANES).T)


def _join(planes):
    """Return the numbers as a stream of little-endian bytes."""
    values = np.stack(planes, axis=1).astype("u1").view(">u4")
    return io.BytesIO(values.astype("<u4").tobytes())


def _take(stream, count, dtype):
    return np.frombuffer(stream.read(4 * count), f"<{dtype}").astype(dtype)


def _open(content):
    """Verify the checksum, and return the header and the streams."""
    content = bytes(content)
    start = content[: len(MAGIC)]
    _require(
        start == MAGIC, f"a .sqz file must begin with {MAGIC!r}", repr(start)
    )
    try:
        _, version, digest = _HEAD.unpack_from(content)
        _require(
            version == VERSION,
            f"the version of the format must be {VERSION}",
            version,
        )
        body = content[_HEAD.size :]
        if _digest(body) != digest:
            raise ValueError(
                "its checksum is wrong: it is damaged or incomplete. Copy or "
                "download it again."
            )
        (length,) = _LENGTH.unpack_from(body)
        end = _LENGTH.size + length
        return _read_header(body[_LENGTH.size : end]), body[end:]
    except (struct.error, zlib.error) as error:
        raise ValueError(f"it is incomplete ({error})") from error


def _read_header(packed):
    inflate = zlib.decompressobj()
    text = inflate.decompress(packed, MAX_HEADER_BYTES)
    _require(
        inflate.eof,
        f"the header must be complete and have at most {MAX_HEADER_BYTES:,} "
        "bytes",
        "one that is longer or cut off",
    )
    header = strict_json.loads(text)
    _require(
        isinstance(header, dict) and isinstance(header.get("arrays"), list),
        "the header must be an object with a list of arrays",
        type(header).__name__,
    )
    return header


def _digest(body):
    return hashlib.sha256(body).digest()[:DIGEST_BYTES]


def _require(condition, expected, received):
    if not condition:
        received = str(received)[:100]
        raise ValueError(f"{expected}. Received: {received}")
