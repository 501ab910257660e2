"""Damage files: their bytes, or content that a checksum protects."""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from keras_squeezenet.codec import header_text

RUNS = (b"\xff", b"\0", b"\x7f", b"\x80", b"9", b"[", b"\x1b[31m")
# Values that no field expects.
VALUES = (
    *(None, True, False, -1, 0, 1, 2**16, 2**31, 2**63, 10**30, -0.5),
    *(float("inf"), float("-inf"), float("nan"), 1e308, "", "\x1b[31m", "../a"),
    *("x" * 10_000, [], {}, [[]], [None], {"": None}, [0] * 1000, [2**31] * 4),
)
# The bytes of a .sqz file before its body; they end with a digest.
SQZ_HEAD, SQZ_DIGEST = 17, 8


def mutate(rng: np.random.Generator, content: bytes) -> bytes:
    """Return a content with one to four changes, drawn from `rng`."""
    change = _bytes if rng.integers(4) == 0 else _change_of(content)
    for _ in range(rng.integers(1, 5)):
        content = change(rng, content)
    return content


def _change_of(content):
    """Return a function that damages content and corrects its checksum."""
    for start, change in (
        (b"PK\3\4", _zip),
        (b"\x89PNG", _png),
        (b"\x89SQZ", _sqz),
        (b"{", _json),
        (b"[", _json),
    ):
        if content.startswith(start):
            return change
    return _bytes


def _bytes(rng, content):
    content = bytearray(content)
    at = rng.integers(len(content) + 1)
    kind = rng.integers(5)
    if kind == 0:
        del content[at:]
    elif kind == 1 and at < len(content):
        content[at] ^= 1 << rng.integers(8)
    elif kind == 2:
        run = RUNS[rng.integers(len(RUNS))] * (1 << rng.integers(8))
        content[at : at + len(run)] = run
    elif kind == 3:
        start = rng.integers(len(content) + 1)
        content[at:at] = content[start : start + 64]
    else:
        content[at:at] = rng.bytes(rng.integers(1, 17))
    return bytes(content)


def _json(rng, content):
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _bytes(rng, content)
    return json.dumps(_tree(rng, value)).encode()


def _tree(rng, value: Any) -> Any:
    """Return a JSON value with another value somewhere in it."""
    places = []

    def find(node):
        keys = range(len(node)) if isinstance(node, list) else node
        for key in keys if isinstance(node, list | dict) else ():
            places.append((node, key))
            find(node[key])

    find(value)
    if not places:
        return VALUES[rng.integers(len(VALUES))]
    node, key = places[rng.integers(len(places))]
    kind = rng.integers(4)
    if kind == 0:
        del node[key]
    elif kind == 1:
        other, its_key = places[rng.integers(len(places))]
        # A copy, so that no value contains itself.
        node[key] = json.loads(json.dumps(other[its_key]))
    elif kind == 2 and isinstance(node[key], list):
        node[key] = node[key] * int(rng.integers(2, 100))
    else:
        node[key] = VALUES[rng.integers(len(VALUES))]
    return value


def _zip(rng, content):
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            members = {name: opened.read(name) for name in opened.namelist()}
            methods = {
                member.filename: member.compress_type
                for member in opened.infolist()
            }
    except Exception:
        return _bytes(rng, content)
    names = list(members)
    if not names:
        return _bytes(rng, content)
    name = names[rng.integers(len(names))]
    kind = rng.integers(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members["../" + name] = members.pop(name)
    elif kind == 2:
        members[name] = bytes(2**25)
    else:
        members[name] = mutate(rng, members[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, member in members.items():
            # Zeros that take no space in the file.
            method = None if len(member) == 2**25 else methods.get(name)
            made.writestr(name, member, method)
    return out.getvalue()


def _png(rng, content):
    """Change a chunk of a PNG file, and its checksum."""
    chunks, at = [], 8
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append(
            (content[at + 4 : at + 8], content[at + 8 : at + 8 + length])
        )
        at += 12 + length
    if not chunks:
        return _bytes(rng, content)
    index = rng.integers(len(chunks))
    kind, data = chunks[index]
    if kind == b"IDAT":
        data = zlib.compress(_bytes(rng, bytes(2**16)))
    chunks[index] = kind, _bytes(rng, data)
    out = content[:8]
    for kind, data in chunks:
        sealed = kind + data
        out += struct.pack(">I", len(data)) + sealed
        out += struct.pack(">I", zlib.crc32(sealed))
    return out


def _sqz(rng, content):
    """Change the header or the streams of a .sqz file, and its checksum."""
    try:
        head, body = content[:SQZ_HEAD], content[SQZ_HEAD:]
        (length,) = struct.unpack_from("<I", body)
        text = header_text.unpack(body[4 : 4 + length])
        coded = body[4 + length :]
    except (struct.error, ValueError):
        return _bytes(rng, content)
    if rng.integers(3):
        text = _json(rng, text)
    else:
        coded = _bytes(rng, coded)
    packed = header_text.pack(text)
    body = struct.pack("<I", len(packed)) + packed + coded
    digest = hashlib.sha256(body).digest()[:SQZ_DIGEST]
    return head[:-SQZ_DIGEST] + digest + body
