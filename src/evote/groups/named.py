"""Published parameter sets, each with its source.

The primes of RFC 3526, RFC 7919 and ElectionGuard 2 are rebuilt from the formulas that show that
nobody chose them freely; the rest are copied. Not promised: that whoever generated the copied sets
kept no trapdoor. A group found here is not checked again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import gmpy2

from evote.errors import ParameterError
from evote.groups._curve_parameters import CURVES
from evote.groups._weierstrass import Curve
from evote.groups.base import Group
from evote.groups.curves import WeierstrassGroup, check_curve, ed25519, ristretto255
from evote.groups.curves import unnamed as unnamed_curve
from evote.groups.modp import ModPGroup, check_modp_parameters, unnamed

__all__ = ["GROUP_NAMES", "modp_group", "named_group", "weierstrass_group"]


def _rfc3526(bits: int, offset: int) -> tuple[int, int, int]:
    """RFC 3526, sections 3 to 5: p = 2^n - 2^(n-64) - 1 + 2^64 ([2^(n-130) pi] + offset)."""
    pi = 16 * _arctan_of_inverse(5, bits) - 4 * _arctan_of_inverse(239, bits)  # Machin
    return _safe_prime(bits, (pi >> 130) + offset)


def _rfc7919(bits: int, offset: int) -> tuple[int, int, int]:
    """RFC 7919, appendix A: p = 2^n - 2^(n-64) + 2^64 ([2^(n-130) e] + offset) - 1."""
    e, term, k = 0, 1 << bits, 1
    while term:
        e, term, k = e + term, term // k, k + 1
    return _safe_prime(bits, (e >> 130) + offset)


def _safe_prime(bits: int, middle: int) -> tuple[int, int, int]:
    p = 2**bits - 2 ** (bits - 64) + 2**64 * middle - 1
    return p, (p - 1) // 2, 2


def _electionguard2(bits: int, offset: int) -> tuple[int, int, int]:
    """ElectionGuard Design Specification 2.1, section 3.1.1.

    p = 2^n - 2^(n-256) + 2^256 ([2^(n-512) ln 2] + offset) + 2^256 - 1, q = 2^256 - 189.
    """
    ln2, power, k = 0, (2 << bits) // 3, 1  # ln 2 = 2 artanh(1/3)
    while power:
        ln2, power, k = ln2 + power // k, power // 9, k + 2
    return _electionguard(2**bits - 2 ** (bits - 256) + 2**256 * ((ln2 >> 512) + offset + 1) - 1)


def _electionguard1() -> tuple[int, int, int]:
    """ElectionGuard Specification 1.0, section 3.1.1."""
    return _electionguard(int(_ELECTIONGUARD_1_P, 16))


def _electionguard(p: int) -> tuple[int, int, int]:
    q = 2**256 - 189
    return p, q, int(gmpy2.powmod(2, (p - 1) // q, p))


def _copied(p: str, q: str, g: str) -> tuple[int, int, int]:
    return int(p, 16), int(q, 16), int(g, 16)


def _arctan_of_inverse(x: int, bits: int) -> int:
    """2^bits arctan(1/x), within the number of terms."""
    total, power, k = 0, (1 << bits) // x, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power, k = power // (x * x), k + 2
    return total


_ELECTIONGUARD_1_P = (
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff93c467e37db0c7a4d1be3f81"
    "0152cb56a1cecc3af65cc0190c03df34709affbd8e4b59fa03a9f0eed0649ccb621057d11056ae9132135a08"
    "e43b4673d74bafea58deb878cc86d733dbe7bf38154b36cf8a96d1567899aaae0c09d4c8b6b7b86fd2a1ea1d"
    "e62ff8643ec7c271827977225e6ac2f0bd61c746961542a3ce3bea5db54fe70e63e6d09f8fc28658e80567a4"
    "7cfde60ee741e5d85a7bd46931ced8220365594964b839896fcaabccc9b31959c083f22ad3ee591c32fab2c7"
    "448f2a057db2db49ee52e0182741e53865f004cc8e704b7c5c40bf304c4d8c4f13edf6047c555302d2238d8c"
    "e11df2424f1b66c2c5d238d0744db679af2890487031f9c0aea1c4bb6fe9554ee528fdf1b05e5b256223b2f0"
    "9215f3719f9c7ccc69ddf172d0d6234217fcc0037f18b93ef5389130b7a661e5c26e54214068bbcafea32a67"
    "818bd3075ad1f5c7e9cc3d1737fb28171baf84dbb6612b7881c1a48e439cd03a92bf52225a2b38e6542e9f72"
    "2bce15a381b5753ea842763381ccae83512b30511b32e5e8d80362149ad030aaba5f3a5798bb22aa7ec1b6d0"
    "f17903f4e22d840734aa85973f79a93ffb82a75c47c03d43d2f9ca02d03199baceddd4533a52566affffffff"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
)
_BELENIOS_P = (
    "a3ef2d011fefb1b6e39e568fccdffb0fb7dc7ef3a791b6862791811d21fc35f21e6d36856b428030421f514e"
    "d40bfd4c06e092a495af8d79a2f85e0fb11c0ede07dd973f9c53e50930c6e82ac36de1ae3fb8c3aabfff12ce"
    "27a5022ddd8912d107435012768a2cdd0a4091d8fa447f6c7ebc15a349fa318a6b4fe17d8d47e843a3e14dfa"
    "9b2162f4d7229abe93a188b46b006517d6f6747ebbb29c9ec3099b607f18fb1a8bc858279aa8599411d998d3"
    "e3fada9e010840d082d8c31911acdd4a0e7992d0f18cc759cb5de0acf66a3882555bc810941e021b6a4ccfa0"
    "4ee4008f878affa2375e2999b44f6cef17d707301e59e0e6351e051ed9cec4157646e64f"
)
_BELENIOS_Q = "adb6066a73522565f4daa0f2579db7f2f0fa90c2168bc709e20263387d55c491"
_BELENIOS_G = (
    "1307c1ab5f295885d7caa3a78a42415e31fd1c5807b61fb1e781878a52230a51988b98c259597f9c5a9dfd00"
    "1d26ba31d9d8976f01d95a1c8262ee68a0e92cea541e5219e0d0d094301b894236823fe1d4bc04e29f3748ae"
    "fd4f10d5b1a356a8643e673fd9d215fc8fe5fb9cf9fdb8ea88fdb1a3381a697fdf9c2458570b06d26aef1be3"
    "65fdd90165f397c6b870df8c1b9e519edcee8bb0f74b7a1615a274ba60a7ea574a61f552d2dde0ce514e0927"
    "c4ff49b1964c4a913731ae4268d60d7f22127b6cbba44d453ac8b72fd04e0991b7aeff04867d8724ac638f5f"
    "34100d2d47aa680d43771902743d663f42d853c041e1c91fe3823f4bcf284308f1d7e653"
)
_HELIOS_P = (
    "815901aa6d3ced6a0bd488c617351e322c8aef8f9f90adf331a2583d8082ac46f74345a1e1cf561facbdf323"
    "9bc3f0ee71618b5d016266caafd48439b034a38f6560cd6b671e3a80248b46809ad8de7a4cc7250469611d59"
    "dae8d8af5c6d0f9f3665f9857e04e1134dc94b270e93341449ea503617447ecb83b2c01602878c070d080da4"
    "64c974d9951c35c1a553407345ee31ebc4a29a3488d5a54702a971ee0a1ea4da93fcf64105040893ff4bec23"
    "ca11e8cffa279e899a46891137c28e85f5a2fc9c637af6d26f6b5deba3d60580df41c334ea123331f8b0adeb"
    "43ea64a037e0c5ac168c47ce421bc9718ba8357099a0221f778599acd917607f3e3024d7"
)
_HELIOS_Q = "87974deb793421ce3891540d906ac0806b85a2b95adc211a82ef8b659f8d9d25"
_HELIOS_G = (
    "75ee80f0a161dd0c025ac818db8d52d193a46655fe0ebd3c289a949f42185f58f2f88f825dcdb3e3e98c0598"
    "af87599728f4f0719a8f68b133e82eb1bc4e3b6b8a377a5c6b812d656efcde578fdf515ac6ef628f1564ac90"
    "7745d53bc6213b74f0cc303bbe68f3ab2220dcacd0ceece7aac3a675aaa0604885a1fb1374e6c08f2dcf503e"
    "58ac6487be73b8ab2a10fa62a79522cbc777b6321fd346e0d36ee5a7291955117d8bb4284901eb26804bd228"
    "6a14af52f5301c489c80dfeafb7ce496af58479a4c6f57f29ec8c9e4f6b88deb06f5d120859d2d4de06e57b0"
    "476f8263f7a4a35f67ed21a4a927109fa89a6b7f4976e98e3ddb3cd232c516b1da5cc555"
)

_SETS: dict[str, Callable[[], tuple[int, int, int]]] = {
    "rfc3526-2048": partial(_rfc3526, 2048, 124476),
    "rfc3526-3072": partial(_rfc3526, 3072, 1690314),
    "rfc3526-4096": partial(_rfc3526, 4096, 240904),
    "ffdhe2048": partial(_rfc7919, 2048, 560316),
    "ffdhe3072": partial(_rfc7919, 3072, 2625351),
    "ffdhe4096": partial(_rfc7919, 4096, 5736041),
    "electionguard-1.0-4096": _electionguard1,
    "electionguard-2.0-4096": partial(
        _electionguard2,
        4096,
        287975203778583638958138611533602521491887169409704874643524560756486080635197037903,
    ),
    "electionguard-2.0-3072": partial(
        _electionguard2,
        3072,
        298707407953437995876300625370749906325322663598036756391867662926569213935809577593,
    ),
    # The constants of the Belenios and Helios servers, as their elections publish them.
    "belenios-2048": partial(_copied, _BELENIOS_P, _BELENIOS_Q, _BELENIOS_G),
    "helios-2048": partial(_copied, _HELIOS_P, _HELIOS_Q, _HELIOS_G),
}

_PRIME_COFACTOR = frozenset(name for name in _SETS if name.startswith("electionguard-"))

GROUP_NAMES: tuple[str, ...] = (ristretto255.name, ed25519.name, *CURVES, *_SETS)
"""Every name that `named_group` knows."""


@cache
def named_group(name: str) -> Group:
    """The group of that name.

    Raises:
        ParameterError: there is none.
    """
    for group in (ristretto255, ed25519):
        if name == group.name:
            return group
    if name in CURVES:
        return WeierstrassGroup(name, CURVES[name])
    if name not in _SETS:
        raise ParameterError(f"no group is called {name!r}; known: {', '.join(GROUP_NAMES)}")
    return ModPGroup(name, *_SETS[name](), prime_cofactor=name in _PRIME_COFACTOR)


def modp_group(p: int, q: int, g: int, *, allow_weak: bool = False) -> ModPGroup:
    """The subgroup of order q modulo p generated by g: the named one if there is, else checked.

    Args:
        allow_weak: also below 2048 bits of p or 224 of q; for tests only.

    Raises:
        ParameterError: the numbers are not such a group, or too small.
    """
    for name in _SETS:
        group = named_group(name)
        if isinstance(group, ModPGroup) and (p, q, g) == (group.p, group.q, group.g):
            return group
    check_modp_parameters(p, q, g, allow_weak=allow_weak)
    return unnamed(p, q, g)


def weierstrass_group(
    p: int, a: int, b: int, x: int, y: int, q: int, *, allow_weak: bool = False
) -> WeierstrassGroup:
    """The curve y^2 = x^3 + a x + b modulo p, all of whose q points (x, y) generates.

    The named one if there is, else checked: p and q prime and different, the curve not singular,
    the generator on it and of order q, q in Hasse's interval, embedding degree at least 100.

    Args:
        allow_weak: also below 224 bits of q, or of small embedding degree; for tests only.

    Raises:
        ParameterError: the numbers are not such a curve, or too small.
    """
    curve = Curve(p, a, b, x, y, q)
    for name, known in CURVES.items():
        if curve == known._replace(z=0):
            return WeierstrassGroup(name, known)
    check_curve(curve, allow_weak=allow_weak)
    return unnamed_curve(curve)
