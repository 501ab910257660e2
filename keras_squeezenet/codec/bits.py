"""Numbers as bits, the most significant one first."""

import numpy as np

# An Elias gamma code is not longer in any content that is worth reading.
MAX_LENGTH = 32


class Writer:
    """Collects bits."""

    def __init__(self):
        self._bits = []

    def write(self, value, length):
        """Adds a number in [0, 2**length) as so many bits."""
        self._bits.append(format(value, f"0{length}b") if length else "")

    def write_gamma(self, value):
        """Adds a number from 0 up; small ones take few bits (Elias gamma)."""
        length = (value + 1).bit_length()
        self.write(0, length - 1)
        self.write(value + 1, length)

    def write_signed(self, value):
        """Adds any number; small ones of either sign take few bits."""
        self.write_gamma(2 * value - 1 if value > 0 else -2 * value)

    def __len__(self):
        return sum(map(len, self._bits))

    def to_bytes(self):
        """Returns the bits, filled up with zeros to whole bytes."""
        bits = np.frombuffer("".join(self._bits).encode(), "u1") - ord("0")
        return np.packbits(bits).tobytes()


class Reader:
    """Reads what a `Writer` wrote, in the same order.

    Args:
        content: bytes.
    """

    def __init__(self, content):
        self._bits = np.unpackbits(np.frombuffer(content, "u1"))
        self._position = 0

    def read(self, length):
        """Returns the number that the next bits are.

        Raises:
            ValueError: if there are fewer.
        """
        end = self._position + length
        if end > len(self._bits):
            raise ValueError("more bits are expected than there are")
        value = 0
        for bit in self._bits[self._position : end]:
            value = 2 * value + int(bit)
        self._position = end
        return value

    def read_gamma(self):
        """Returns a number that `write_gamma` added.

        Raises:
            ValueError: if the bits are none, or the number is absurd.
        """
        length = 0
        while not self.read(1):
            length += 1
            if length > MAX_LENGTH:
                raise ValueError("a shorter number is expected")
        return (1 << length | self.read(length)) - 1

    def read_signed(self):
        """Returns a number that `write_signed` added."""
        value = self.read_gamma()
        return (value + 1) // 2 if value % 2 else -(value // 2)

    def require_end(self):
        """Raises a `ValueError` unless only the last byte's zeros are left."""
        rest = self._bits[self._position :]
        if len(rest) >= 8 or rest.any():
            raise ValueError("fewer bits are expected than there are")
