"""The .sqz file: entropy-coded arrays and a JSON header.

`SQZ.md` in this folder specifies the format.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import struct
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import header_text
from keras_squeezenet.codec import streams
from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json

SUFFIX = ".sqz"
MAGIC = b"\x89SQZ\r\n\x1a\n"
_HEAD = struct.Struct("<8sB")
_LENGTH = struct.Struct("<I")
# Limits on the memory that a file can take: a dozen SqueezeNets.
MAX_BYTES = 1 << 26
MAX_ARRAYS = 1024
MAX_NUMBERS = 1 << 24
# The values of "form" in the header.
FORMS = {
    encodings.PlainArray: "plain",
    encodings.CodebookArray: "shared",
    encodings.UniformArray: "stepped",
}
# Numbers of 32 bits are split into streams of so many bits each, the most
# significant ones first.
BYTES = (8, 8, 8, 8)
# The sign and the exponent of a float32 number, the first three bits of its
# significand, and the others.
FLOAT_FIELDS = (9, 3, 10, 10)


@dataclasses.dataclass(frozen=True)
class Version:
    """What differs from one version of the format to the other.

    Attributes:
        digest_bytes: the length of the checksum.
        unpack_header: inflates the header.
        has_geometric: as `frequency_tables.read` takes it.
        float_fields: the streams of float32 numbers.
    """

    digest_bytes: int
    unpack_header: Callable[[bytes], bytes]
    has_geometric: bool
    float_fields: tuple[int, ...]


VERSIONS = {
    1: Version(16, header_text.unpack_version_1, False, BYTES),
    2: Version(8, header_text.unpack, True, FLOAT_FIELDS),
}
VERSION = 2


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
    version = VERSIONS[VERSION]
    _sizes(rows, version)
    text = json.dumps({**header, "arrays": rows}, separators=(",", ":"))
    _require(
        len(text) <= header_text.MAX_BYTES,
        f"the header must have at most {header_text.MAX_BYTES:,} bytes",
        f"{len(text):,} bytes",
    )
    coded = streams.encode(
        [
            *codes,
            *_split(deltas, "uint32", BYTES),
            *_split(numbers, "float32", version.float_fields),
        ]
    )
    packed = header_text.pack(text.encode())
    body = _LENGTH.pack(len(packed)) + packed + coded
    return _HEAD.pack(MAGIC, VERSION) + _digest(body, version) + body


def read_header(path: str | os.PathLike) -> dict:
    """Return the header of a .sqz file, without decoding any array."""
    content = read_bytes(path)
    with explained(path):
        return _open(content)[1]


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
    version, header, coded = _open(content)
    rows = header["arrays"]
    parts = streams.decode(coded, _sizes(rows, version), version.has_geometric)
    fields = version.float_fields
    codes = iter(parts[: -len(BYTES) - len(fields)])
    deltas = _join(parts[-len(BYTES) - len(fields) : -len(fields)], BYTES)
    numbers = _join(parts[-len(fields) :], fields)
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


def _sizes(rows, version):
    """Return the sizes of the streams that the rows of a header need.

    These are the codes of each array that has codes, the streams of all
    codebooks, and those of all other numbers.
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
    return (
        codes + len(BYTES) * [entries] + len(version.float_fields) * [numbers]
    )


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


def _split(parts, dtype, fields):
    """Split numbers of 32 bits into streams of `fields` bits each."""
    values = np.concatenate(
        [np.zeros(0, dtype), *(np.ravel(part).astype(dtype) for part in parts)]
    ).view("uint32")
    return [
        values >> np.uint32(shift) & np.uint32((1 << bits) - 1)
        for bits, shift in zip(fields, _shifts(fields))
    ]


def _join(streams, fields):
    """Return the numbers as a stream of little-endian bytes."""
    values = np.zeros(len(streams[0]), "uint32")
    for stream, bits, shift in zip(streams, fields, _shifts(fields)):
        kept = stream.astype("uint32") & np.uint32((1 << bits) - 1)
        values |= kept << np.uint32(shift)
    return io.BytesIO(values.astype("<u4").tobytes())


def _shifts(fields):
    return [sum(fields[index + 1 :]) for index in range(len(fields))]


def _take(stream, count, dtype):
    return np.frombuffer(stream.read(4 * count), f"<{dtype}").astype(dtype)


def _open(content):
    """Verify the checksum; return the version, the header and the streams."""
    content = bytes(content)
    start = content[: len(MAGIC)]
    _require(
        start == MAGIC, f"a .sqz file must begin with {MAGIC!r}", repr(start)
    )
    try:
        _, number = _HEAD.unpack_from(content)
        _require(
            number in VERSIONS,
            f"the version of the format must be from 1 to {VERSION}; newer "
            "files need a newer release of this package",
            number,
        )
        version = VERSIONS[number]
        begin = _HEAD.size + version.digest_bytes
        body = content[begin:]
        if _digest(body, version) != content[_HEAD.size : begin]:
            raise ValueError(
                "its checksum is wrong: it is damaged or incomplete. Copy or "
                "download it again."
            )
        (length,) = _LENGTH.unpack_from(body)
    except struct.error as error:
        raise ValueError(f"it is incomplete ({error})") from error
    end = _LENGTH.size + length
    header = strict_json.loads(version.unpack_header(body[_LENGTH.size : end]))
    _require(
        isinstance(header, dict) and isinstance(header.get("arrays"), list),
        "the header must be an object with a list of arrays",
        type(header).__name__,
    )
    return version, header, body[end:]


def _digest(body, version):
    return hashlib.sha256(body).digest()[: version.digest_bytes]


def _require(condition, expected, received):
    if not condition:
        received = str(received)[:100]
        raise ValueError(f"{expected}. Received: {received}")
