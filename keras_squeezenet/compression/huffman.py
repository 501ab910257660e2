"""Canonical Huffman codes: one is known by the lengths of its words.

Reference:
- [A Method for the Construction of Minimum-Redundancy Codes](
    https://doi.org/10.1109/JRPROC.1952.273898) (Huffman, 1952)
"""

import heapq

import numpy as np


def code_lengths(counts):
    """Returns the lengths in bits of the words of an optimal prefix code.

    Args:
        counts: how often each symbol occurs, a sequence of integers.

    Returns:
        An int64 array: 0 for a symbol that does not occur, and 1 for one that
        occurs alone.
    """
    counts = np.asarray(counts, "int64")
    lengths = np.zeros(len(counts), "int64")
    # The symbol breaks ties, so that the same counts give the same code.
    heap = [
        (int(counts[symbol]), int(symbol), [symbol])
        for symbol in np.flatnonzero(counts)
    ]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        symbols = first[2] + second[2]
        lengths[symbols] += 1
        heapq.heappush(heap, (first[0] + second[0], first[1], symbols))
    return lengths


def code_words(lengths):
    """Returns `{symbol: word}` of the canonical code, words as "0110".

    Args:
        lengths: the lengths of the words, 0 for a symbol without one.
    """
    lengths = np.asarray(lengths)
    words = {}
    word = length = 0
    for symbol in np.argsort(lengths, kind="stable"):
        if lengths[symbol]:
            word <<= int(lengths[symbol]) - length
            length = int(lengths[symbol])
            words[int(symbol)] = format(word, f"0{length}b")
            word += 1
    return words


def encode(symbols, lengths):
    """Returns the bytes of symbols in the canonical code of these lengths."""
    words = code_words(lengths)
    bits = "".join([words[symbol] for symbol in np.asarray(symbols).tolist()])
    return np.packbits(np.frombuffer(bits.encode(), "u1") - ord("0")).tobytes()


def decode(content, lengths, count):
    """Returns the first `count` symbols that `encode` made bytes of.

    Raises:
        ValueError: if there are fewer, or some are of no word.
    """
    symbols_of = {word: symbol for symbol, word in code_words(lengths).items()}
    symbols = []
    word = ""
    for bit in np.unpackbits(np.frombuffer(content, "u1")):
        if len(symbols) == count:
            break
        word += "01"[bit]
        if word in symbols_of:
            symbols.append(symbols_of[word])
            word = ""
    if len(symbols) != count:
        raise ValueError(
            f"{count} symbols are expected. Received: {len(symbols)} in "
            f"{len(content)} bytes"
        )
    return np.array(symbols, "int64")
