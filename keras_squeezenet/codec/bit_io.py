"""Bit streams of integers, the most significant bit first."""

import numpy as np

# The longest valid prefix of an Elias gamma code.
MAX_LENGTH = 32


class Writer:
    """Write integers as bits."""

    def __init__(self):
        self._bits = []

    def write(self, value: int, length: int) -> None:
        """Write an integer in [0, 2**length) as `length` bits."""
        self._bits.append(format(value, f"0{length}b") if length else "")

    def write_gamma(self, value: int) -> None:
        """Write a non-negative integer as an Elias gamma code."""
        length = (value + 1).bit_length()
        self.write(0, length - 1)
        self.write(value + 1, length)

    def write_signed(self, value: int) -> None:
        """Write an integer of either sign as an Elias gamma code."""
        self.write_gamma(2 * value - 1 if value > 0 else -2 * value)

    def __len__(self) -> int:
        return sum(map(len, self._bits))

    def to_bytes(self) -> bytes:
        """Return the bits, padded with zeros to whole bytes."""
        bits = np.frombuffer("".join(self._bits).encode(), "u1") - ord("0")
        return np.packbits(bits).tobytes()


class Reader:
    """Read the integers of a `Writer`, in the same order."""

    def __init__(self, content: bytes):
        # A leading 1, so that no leading zero is lost.
        self._bits = bin(int.from_bytes(b"\1" + content, "big"))[3:]
        self._position = 0

    def read(self, length: int) -> int:
        """Read an integer of `length` bits."""
        bits = self._bits[self._position : self._position + length]
        if len(bits) < length:
            raise ValueError("the tables are cut off")
        self._position += length
        return int(bits, 2) if length else 0

    def read_gamma(self) -> int:
        """Read an integer that `write_gamma` wrote."""
        length = 0
        while not self.read(1):
            length += 1
            if length > MAX_LENGTH:
                raise ValueError(
                    f"an integer must have at most {MAX_LENGTH + 1} bits"
                )
        return (1 << length | self.read(length)) - 1

    def read_signed(self) -> int:
        """Read an integer that `write_signed` wrote."""
        value = self.read_gamma()
        return (value + 1) // 2 if value % 2 else -(value // 2)

    def require_end(self) -> None:
        """Raise a `ValueError` unless only the padding is left."""
        rest = self._bits[self._position :]
        if len(rest) >= 8 or "1" in rest:
            raise ValueError("the tables must end with their last symbol")
