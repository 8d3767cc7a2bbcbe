"""ristretto255: a group of prime order made of edwards25519 (RFC 9496).

Encodings are 32 bytes, little-endian, one per element, and every element has one: no cofactor,
no torsion. The order is that of Ed25519's base point.
"""

from __future__ import annotations

from functools import lru_cache

from evote.encoding import frame
from evote.errors import ParameterError
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_ristretto, _python
from evote.groups._kernel import Kernel
from evote.groups.base import Group

__all__ = ["Ristretto255", "ristretto255"]


class Ristretto255(Group):
    """The group `ristretto255`; all its instances are equal."""

    name = "ristretto255"
    order = ed.L
    element_size = 32
    _hash_size = 64
    _scalar_byteorder = "little"
    _keeps_encodings = True

    def __init__(self, *, backend: str = "gmp") -> None:
        kernel = _kernel(backend)
        self._complete(kernel, backend)
        if isinstance(kernel, _gmp_ristretto.RistrettoKernel):
            self._square_encoder = kernel

    def parameters(self) -> bytes:
        numbers = (ed.P, ed.L)
        return frame(
            self.name.encode(),
            *(x.to_bytes(32, "little") for x in numbers),
            self.generator.encode(),
        )

    @property
    def is_weak(self) -> bool:
        return False

    def with_backend(self, name: str) -> Ristretto255:
        return Ristretto255(backend=name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ristretto255)

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self.backend,)


def _restore(backend: str) -> Ristretto255:
    return ristretto255 if backend == "gmp" else Ristretto255(backend=backend)


@lru_cache(maxsize=8)
def _kernel(backend: str) -> Kernel:
    if backend == "gmp":
        return _gmp_ristretto.RistrettoKernel()
    if backend == "python":
        return _python.RistrettoKernel()
    raise ParameterError(f"no backend {backend!r}: there are gmp and python")


ristretto255 = Ristretto255()
