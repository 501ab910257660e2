"""The text of a .sqz file's header, deflated.

Version 2 of the format has a preset dictionary of the headers of SqueezeNets,
so that a header takes only the bytes of what differs in its network.
"""

import functools
import pathlib
import zlib

from keras_squeezenet.utils import strict_json

MAX_BYTES = strict_json.MAX_BYTES


@functools.cache
def dictionary() -> bytes:
    """Return the preset dictionary, a part of version 2 of the format."""
    path = pathlib.Path(__file__).with_name("header_dictionary.txt")
    return path.read_bytes()


def pack(text: bytes) -> bytes:
    """Return a text deflated as version 2 of the format has it."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS, zdict=dictionary())
    return deflate.compress(text) + deflate.flush()


def unpack(packed: bytes) -> bytes:
    """Return the text that `pack` deflated.

    Raises:
        ValueError: if it is damaged or has more than `MAX_BYTES`.
    """
    return _inflate(
        packed,
        zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=dictionary()),
    )


def unpack_version_1(packed: bytes) -> bytes:
    """Return the text of a header in version 1 of the format; see `unpack`."""
    return _inflate(packed, zlib.decompressobj())


def _inflate(packed, inflate):
    try:
        text = inflate.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"it is incomplete ({error})") from error
    if not inflate.eof:
        raise ValueError(
            f"the header must be complete and have at most {MAX_BYTES:,} "
            "bytes. Received: one that is longer or cut off"
        )
    return text
