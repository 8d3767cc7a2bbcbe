"""Messages as blocks of fixed size, for groups whose elements hold such blocks.

A message of width w fills w blocks of s bytes: its length, then its bytes, then zeros.

    header    1 byte where s w <= 256, else 2 where s w <= 65536, else 4; little-endian
    blocks    header || message || zeros, cut into w pieces

So a message has one encoding for each w, all lengths look alike, and blocks with another length or
other padding are none. A kernel turns each block into an element, by the first counter that works:

    curves        x = block 2^8 + counter,           1 <= counter <= 128, y even
    ristretto255  s = block 2^9 + 2 counter,         1 <= counter <= 192
    p = 2q + 1    x = block + 2, or p - x where x is not a square

A counter serves for one x in two, or one s in four: that none does has a chance of 2^-128 or 2^-79
for each block.
"""

from __future__ import annotations

__all__ = [
    "CURVE_CANDIDATES",
    "RISTRETTO_BLOCK",
    "RISTRETTO_CANDIDATES",
    "capacity",
    "join_blocks",
    "split_message",
]

CURVE_CANDIDATES = 128
RISTRETTO_CANDIDATES = 192
RISTRETTO_BLOCK = 30


def _header_size(total: int) -> int:
    return 1 if total <= 2**8 else 2 if total <= 2**16 else 4


def capacity(size: int, width: int) -> int:
    """Bytes that a message of `width` blocks of `size` bytes can have."""
    total = size * width
    return min(total - _header_size(total), 2**32 - 1)


def split_message(message: bytes, size: int, width: int) -> list[bytes]:
    """The blocks of a message that is not too long."""
    total = size * width
    data = len(message).to_bytes(_header_size(total), "little") + message
    data += bytes(total - len(data))
    return [data[i : i + size] for i in range(0, total, size)]


def join_blocks(blocks: list[bytes]) -> bytes | None:
    """The message that `split_message` made these blocks of; None where there is none."""
    data = b"".join(blocks)
    start = _header_size(len(data))
    end = start + int.from_bytes(data[:start], "little")
    if end > len(data) or any(data[end:]):
        return None
    return data[start:end]
