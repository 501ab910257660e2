"""Files of pretrained weights, known by an address and a digest."""

import dataclasses
import hashlib

from keras_squeezenet.utils import archive

ALGORITHMS = ("git", "sha1", "sha256")
ARCHIVE = ".zip"


@dataclasses.dataclass(frozen=True)
class Digest:
    """The hash of a file's content.

    Args:
        algorithm: `"sha256"`, `"sha1"`, or `"git"`: the SHA-1 that git computes
            of a header with the file's size and of its content.
        value: hexadecimal digits, or the first ones if the publisher does not
            give all.
    """

    algorithm: str
    value: str

    def of(self, content: bytes) -> "Digest":
        """Return the digest of other content, with as many digits."""
        digits = hash_of(self.algorithm, content)
        return Digest(self.algorithm, digits[: len(self.value)])

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


def hash_of(algorithm: str, content: bytes) -> str:
    """Return the hash of a content in hexadecimal digits."""
    if algorithm == "git":
        header = b"blob %d\0" % len(content)
        digest = hashlib.sha1(header + content, usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm, content, usedforsecurity=False)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class File:
    """A file of pretrained weights.

    Args:
        name: the file's name, in the cache too. That of a zip archive with the
            file of weights is `weights_name` and `.zip`.
        digest: the hash of the weights.
        url: the address to download it from, or `None` in the package.
        size: the size in bytes, or `None` if it is unknown.
    """

    name: str
    digest: Digest
    url: str | None = None
    size: int | None = None

    @classmethod
    def published(
        cls, url: str, digest: Digest, size: int | None = None
    ) -> "File":
        """Return a file with the name at the end of its address."""
        return cls(url.rpartition("/")[2], digest, url, size)

    @property
    def is_archive(self) -> bool:
        return self.name.endswith(ARCHIVE)

    @property
    def weights_name(self) -> str:
        """The name of the file of weights, alone or in the archive."""
        return self.name.removesuffix(ARCHIVE)

    def unpack(self, content: bytes) -> bytes:
        """Return the weights in the file, whose digest is still to be checked.

        What is not the archive that it should be is returned as it is.
        """
        if not self.is_archive:
            return content
        try:
            with archive.open_zip(content) as opened:
                return opened.read(self.weights_name)
        # `zipfile` has many exceptions for damaged content.
        except Exception:
            return content

    @property
    def verified(self) -> bool:
        """Whether this project has read the very file, and knows its size."""
        return self.size is not None
