"""BLAKE3 (the BLAKE3 paper, section 2), unkeyed, 32 bytes: no library that is at hand has it."""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# The words that each column and each diagonal of the state mixes.
MIXED = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
BLOCK, CHUNK = 64, 1024
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF


def blake3(data: bytes) -> bytes:
    """The hash of `data`."""
    words = _node(data, 0, ROOT)
    return b"".join(word.to_bytes(4, "little") for word in words)


def _node(data: bytes, counter: int, root: int):
    """The chaining value over `data`, whose first chunk has the number `counter`."""
    if len(data) <= CHUNK:
        return _chunk(data, counter, root)
    # The left part is the largest power of two of chunks that leaves something to the right.
    left = CHUNK << ((len(data) - 1) // CHUNK).bit_length() - 1
    parts = _node(data[:left], counter, 0) + _node(data[left:], counter + left // CHUNK, 0)
    return _compress(IV, parts, 0, BLOCK, PARENT | root)


def _chunk(data: bytes, counter: int, root: int):
    value = IV
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)] or [b""]
    for number, block in enumerate(blocks):
        flags = CHUNK_START if number == 0 else 0
        if number == len(blocks) - 1:
            flags |= CHUNK_END | root
        padded = block.ljust(BLOCK, b"\0")
        words = tuple(int.from_bytes(padded[at : at + 4], "little") for at in range(0, BLOCK, 4))
        value = _compress(value, words, counter, len(block), flags)
    return value


def _compress(value, words, counter: int, length: int, flags: int):
    v = [*value, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for number, (a, b, c, d) in enumerate(MIXED):
            x, y = words[2 * number], words[2 * number + 1]
            v[a] = (v[a] + v[b] + x) & MASK
            v[d] = _right(v[d] ^ v[a], 16)
            v[c] = (v[c] + v[d]) & MASK
            v[b] = _right(v[b] ^ v[c], 12)
            v[a] = (v[a] + v[b] + y) & MASK
            v[d] = _right(v[d] ^ v[a], 8)
            v[c] = (v[c] + v[d]) & MASK
            v[b] = _right(v[b] ^ v[c], 7)
        words = tuple(words[place] for place in PERMUTATION)
    return tuple(v[number] ^ v[number + 8] for number in range(8))


def _right(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & MASK
