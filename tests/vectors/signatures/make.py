#!/usr/bin/env python3
"""Writes cases.json: signatures that every provider must judge alike, and how.

Standard library only, and nothing random: every number comes from a hash of its name, so the file
is the same on every machine. The keys are throw-away keys, derived here and good for nothing.

    python3 make.py > cases.json
"""
import hashlib
import json
import sys


def stream(name, length):
    out, n = b"", 0
    while len(out) < length:
        out += hashlib.sha512(f"{name}/{n}".encode()).digest()
        n += 1
    return out[:length]


def number(name, below):
    return int.from_bytes(stream(name, (below.bit_length() + 7) // 8 + 16), "big") % (below - 1) + 1


CASES = []


def case(scheme, name, key, message, signature, accepted):
    CASES.append({
        "name": name, "scheme": scheme, "key": key.hex(), "message": message.hex(),
        "signature": signature.hex(), "accepted": accepted,
    })


# --- DER ---------------------------------------------------------------------------------------

def tlv(tag, value):
    length = len(value)
    if length < 0x80:
        return bytes([tag, length]) + value
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + value


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def sequence(*parts):
    return tlv(0x30, b"".join(parts))


# --- ECDSA -------------------------------------------------------------------------------------

class Curve:
    def __init__(self, p, b, n, gx, gy, size, digest, scheme):
        self.p, self.b, self.n, self.g, self.size = p, b, n, (gx, gy), size
        self.digest, self.scheme = digest, scheme

    def on(self, x, y):
        return (y * y - (x * x * x - 3 * x + self.b)) % self.p == 0

    def add(self, a, b):
        if a is None:
            return b
        if b is None:
            return a
        if a[0] == b[0]:
            if (a[1] + b[1]) % self.p == 0:
                return None
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, self.p)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, self.p)
        x = (slope * slope - a[0] - b[0]) % self.p
        return x, (slope * (a[0] - x) - a[1]) % self.p

    def mul(self, k, point):
        out = None
        while k:
            if k & 1:
                out = self.add(out, point)
            point, k = self.add(point, point), k >> 1
        return out

    def hash(self, message):
        return int.from_bytes(self.digest(message).digest(), "big")  # as long as the order here

    def sec1(self, point, first=4):
        return bytes([first]) + b"".join(v.to_bytes(self.size, "big") for v in point)

    def fixed(self, r, s):
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")

    def sign(self, d, message, k):
        r = self.mul(k, self.g)[0] % self.n
        return r, pow(k, -1, self.n) * (self.hash(message) + r * d) % self.n

    def verify(self, q, message, r, s):
        if not (0 < r < self.n and 0 < s < self.n):
            return False
        w = pow(s, -1, self.n)
        point = self.add(self.mul(self.hash(message) * w % self.n, self.g), self.mul(r * w % self.n, q))
        return point is not None and point[0] % self.n == r

    def lift(self, x):
        square = (x * x * x - 3 * x + self.b) % self.p
        y = pow(square, (self.p + 1) // 4, self.p)
        return (x, y) if y * y % self.p == square else None


P256 = Curve(
    p=0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    gx=0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    gy=0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    size=32, digest=hashlib.sha256, scheme="ecdsa-p256-sha256",
)
P384 = Curve(
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    gx=0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    gy=0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    size=48, digest=hashlib.sha384, scheme="ecdsa-p384-sha384",
)


def ecdsa(curve):
    n, size, scheme = curve.n, curve.size, curve.scheme
    message = b"what is signed"
    d, k = number(scheme + "/d", n), number(scheme + "/k", n)
    q = curve.mul(d, curve.g)
    r, s = curve.sign(d, message, k)
    z = curve.hash(message)
    assert curve.verify(q, message, r, s)

    def add(name, r, s, accepted, key=q, message=message, encoded=None):
        if 0 < r < n and isinstance(key, tuple):
            assert curve.verify(key, message, r, s) == accepted, name
        key = encoded or curve.sec1(key)
        case(scheme, name, key, message, curve.fixed(r, s), accepted)

    add("as made", r, s, True)
    add("an empty message", *curve.sign(d, b"", k), True, message=b"")
    add("s negated", r, n - s, True)
    add("another message", r, s, False, message=b"what was signed")
    add("r and s swapped", s, r, False)
    add("r negated", n - r, s, False)
    for name, wrong in [("zero", 0), ("one", 1), ("the order", n), ("the order less one", n - 1),
                        ("the order and one", n + 1), ("the field's prime", curve.p), ("all ones", 256**size - 1)]:
        add(f"r is {name}", wrong, s, False)
        add(f"s is {name}", r, wrong, False)
        add(f"r and s are {name}", wrong, wrong, False)

    # A key whose owner's nonce is chosen so that a number meets its bound: d = (s k - z) / r.
    def with_s(name, s, k):
        r = curve.mul(k, curve.g)[0] % n
        key = curve.mul((s * k - z) * pow(r, -1, n) % n, curve.g)
        add(name, r, s, True, key=key)
    for name, s_ in [("s is one, and right", 1), ("s is the order less one, and right", n - 1), ("s is short", 2**64 + 3)]:
        with_s(name, s_, number(scheme + name, n))
    with_s("the nonce is one", number(scheme + "/s1", n), 1)
    with_s("the nonce is minus one", number(scheme + "/s2", n), n - 1)

    # The point R = u1 G + u2 Q, whose abscissa r is, from numbers chosen before the key.
    # Q = (R - u1 G) / u2 with u2 = r / s.
    def from_point(name, point, s, r, accepted):
        minus = curve.mul(z * pow(s, -1, n) % n, curve.g)
        rest = curve.add(point, (minus[0], curve.p - minus[1]))
        key = curve.mul(s * pow(r, -1, n) % n, rest)
        add(name, r, s, accepted, key=key)
        return key
    # Between the order and the prime: r is reduced. The unreduced number is no r.
    x = next(x for x in range(n, curve.p) if curve.lift(x) and x != n)
    key = from_point("the abscissa is above the order", curve.lift(x), number(scheme + "/s3", n), x - n, True)
    add("the abscissa is above the order and not reduced", x, number(scheme + "/s3", n), False, key=key)
    # The smallest abscissa, and r + n in its place, which a comparison of abscissas alone would take.
    x = next(x for x in range(1, 99) if curve.lift(x))
    s4 = number(scheme + "/s4", n)
    key = from_point("r is short", curve.lift(x), s4, x, True)
    assert x + n < 256**size
    add("r and the order in place of r", x + n, s4, False, key=key)

    # Double-scalar multiplication's corners: the two summands equal, and their sum nothing.
    t = number(scheme + "/t", n)
    r2 = curve.mul(2 * t % n, curve.g)[0] % n
    s2 = z * pow(t, -1, n) % n
    add("the summands are equal", r2, s2, True, key=curve.mul(t * s2 * pow(r2, -1, n) % n, curve.g))
    r3, s3 = number(scheme + "/r3", n), number(scheme + "/s5", n)
    add("the sum is the point at infinity", r3, s3, False, key=curve.mul(-z * pow(r3, -1, n) % n, curve.g))
    for name, e in [("the generator", 1), ("the generator negated", n - 1), ("twice the generator", 2)]:
        add(f"the key is {name}", *curve.sign(e, message, k), True, key=curve.mul(e, curve.g))

    # Keys that are none.
    other = (q[0], (q[1] + 1) % curve.p)
    assert not curve.on(*other)
    for name, encoded in [
        ("the key is off the curve", curve.sec1(other)),
        ("the key is the origin", curve.sec1((0, 0))),
        ("the key is negated", curve.sec1((q[0], curve.p - q[1]))),
        ("the key's abscissa is the prime", curve.sec1((curve.p, q[1]))),
        ("the key's ordinate is all ones", curve.sec1((q[0], 256**size - 1))),
        ("the key is compressed", bytes([2 + (q[1] & 1)]) + q[0].to_bytes(size, "big")),
        ("the key is in hybrid form", curve.sec1(q, 6 + (q[1] & 1))),
        ("the key says compressed, and has both", curve.sec1(q, 2 + (q[1] & 1))),
        ("the key has no form", curve.sec1(q)[1:]),
        ("the key's form is 0", curve.sec1(q, 0)),
        ("the key is the point at infinity", b"\0"),
        ("the key is empty", b""),
        ("the key is a byte short", curve.sec1(q)[:-1]),
        ("the key has a byte too many", curve.sec1(q) + b"\0"),
        ("the key is of the other curve", (P384 if curve is P256 else P256).sec1((P384 if curve is P256 else P256).g)),
    ]:
        case(scheme, name, encoded or b"", message, curve.fixed(r, s), False)
    # The smallest abscissa of the curve, and the same with the prime added: one point, two texts.
    x, y = next(filter(None, map(curve.lift, range(0, 99))))
    case(scheme, "the key's abscissa is not reduced", curve.sec1((x + curve.p, y)), message, curve.fixed(r, s), False)


def asn1():
    curve, scheme = P256, "ecdsa-p256-sha256-asn1"
    n, message = curve.n, b"what a certificate says"
    d = number(scheme + "/d", n)
    key = curve.sec1(curve.mul(d, curve.g))

    def signed(wanted):  # the first signature whose numbers look so
        for i in range(10000):
            r, s = curve.sign(d, message, number(f"{scheme}/k{i}", n))
            if wanted(r, s):
                return r, s
        raise ValueError
    high = lambda v: v >> 255 == 1
    short = lambda v: v >> 248 == 0 and v >> 247 == 0
    rh, sh = signed(lambda r, s: high(r) and high(s))
    rl, sl = signed(lambda r, s: not high(r) and not high(s) and r >> 248 and s >> 248)
    rs, ss = signed(lambda r, s: short(r))
    rt, st = signed(lambda r, s: short(s))

    def add(name, signature, accepted):
        case(scheme, name, key, message, signature, accepted)
    add("both numbers with a sign byte", sequence(integer(rh), integer(sh)), True)
    add("neither number with a sign byte", sequence(integer(rl), integer(sl)), True)
    add("r is short", sequence(integer(rs), integer(ss)), True)
    add("s is short", sequence(integer(rt), integer(st)), True)
    add("s negated", sequence(integer(rl), integer(n - sl)), True)

    r, s = integer(rl), integer(sl)
    good = sequence(r, s)
    raw = lambda v: v.to_bytes(32, "big")
    padded = lambda v, zeros: tlv(2, bytes(zeros) + raw(v))
    for name, signature in [
        ("empty", b""),
        ("the fixed form", raw(rl) + raw(sl)),
        ("a byte short", good[:-1]),
        ("a byte after", good + b"\0"),
        ("two bytes of nothing after", good + b"\5\0"),
        ("a third number", sequence(r, s, integer(1))),
        ("NULL after the numbers", sequence(r, s, b"\5\0")),
        ("only r", sequence(r)),
        ("an empty sequence", sequence()),
        ("no sequence", r + s),
        ("a set", tlv(0x31, r + s)),
        ("a sequence in a sequence", sequence(good)),
        ("r is an OCTET STRING", sequence(tlv(4, raw(rl)), s)),
        ("r is context-specific", sequence(tlv(0x82, raw(rl)), s)),
        ("the length in two bytes", b"\x30\x81" + good[1:]),
        ("the length in three bytes", b"\x30\x82\0" + good[1:]),
        ("r's length in two bytes", sequence(b"\2\x81" + r[1:], s)),
        ("indefinite length", b"\x30\x80" + r + s + b"\0\0"),
        ("the length is one too many", bytes([0x30, good[1] + 1]) + good[2:]),
        ("the length is one too few", bytes([0x30, good[1] - 1]) + good[2:]),
        ("r with a needless zero", sequence(padded(rl, 1), s)),
        ("s with a needless zero", sequence(r, padded(sl, 1))),
        ("r with two zeros", sequence(padded(rh, 2), integer(sh))),
        ("r without its sign byte", sequence(tlv(2, raw(rh)), integer(sh))),
        ("s without its sign byte", sequence(integer(rh), tlv(2, raw(sh)))),
        ("r negative", sequence(tlv(2, raw(2**256 - rl)), s)),
        ("r without bytes", sequence(b"\2\0", s)),
        ("s without bytes", sequence(r, b"\2\0")),
        ("r is zero", sequence(integer(0), s)),
        ("s is zero", sequence(r, integer(0))),
        ("both zero", sequence(integer(0), integer(0))),
        ("r is the order", sequence(integer(n), s)),
        ("s and the order", sequence(r, integer(sl + n))),
        ("r and 2^256", sequence(integer(rl + 2**256), s)),
        ("s and 2^512", sequence(r, integer(sl + 2**512))),
        ("r with a real's tag", sequence(tlv(9, raw(rl)), s)),
        ("swapped", sequence(s, r)),
    ]:
        add(name, signature, False)
    case(scheme, "another message", key, b"what a certificate said", good, False)


# --- RSA ---------------------------------------------------------------------------------------

SMALL = [q for q in range(3, 2000, 2) if all(q % f for f in range(3, int(q**0.5) + 1, 2))]


def prime(name, bits, e):
    i = 0
    start = int.from_bytes(stream(name, bits // 8 + 1), "big") % (1 << bits) | (3 << (bits - 2)) | 1
    while True:
        p = start + 2 * i
        i += 1
        if any(p % f == 0 for f in SMALL) or p % e == 1 or any((p - 1) % f == 0 for f in SMALL if e % f == 0):
            continue
        if all(pow(b, p - 1, p) == 1 for b in (2, 3, 5, 7)):
            return p


class Rsa:
    """A modulus of `bits` bits from several primes: a verifier cannot tell, and they are found fast."""

    def __init__(self, name, bits, e=65537, primes=4):
        while True:
            part = bits // primes
            sizes = [part] * (primes - 1) + [bits - part * (primes - 1)]
            for attempt in range(1000):
                ps = [prime(f"{name}/{attempt}/{i}", size, e) for i, size in enumerate(sizes)]
                n = 1
                for p in ps:
                    n *= p
                if n.bit_length() == bits:
                    break
                sizes[-1] += bits - n.bit_length()
            else:
                raise ValueError(name)
            break
        phi = 1
        for p in ps:
            phi *= p - 1
        self.n, self.e, self.d = n, e, pow(e, -1, phi)
        self.size = (bits + 7) // 8

    def raw(self, em):
        return pow(int.from_bytes(em, "big"), self.d, self.n).to_bytes(self.size, "big")

    def der(self):
        return sequence(integer(self.n), integer(self.e))


INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def pkcs1(key, digest, message, info=None, padding=None, head=b"\0\1", after=b""):
    t = (INFO[digest] if info is None else info) + hashlib.new(digest, message).digest() + after
    ps = b"\xff" * (key.size - 3 - len(t)) if padding is None else padding
    return head + ps + b"\0" + t


def mgf(seed, length, digest="sha384"):
    out, n = b"", 0
    while len(out) < length:
        out += hashlib.new(digest, seed + n.to_bytes(4, "big")).digest()
        n += 1
    return out[:length]


def pss(key, message, salt=48, separator=1, trailer=0xBC, top=0, mask="sha384", ones=b"", digest="sha384"):
    salt = stream("salt", salt)
    h = hashlib.new(digest, bytes(8) + hashlib.new(digest, message).digest() + salt).digest()
    length = key.size - len(h) - 1
    db = ones + bytes(length - len(salt) - 1 - len(ones)) + bytes([separator]) + salt
    masked = bytearray(a ^ b for a, b in zip(db, mgf(h, length, mask)))
    masked[0] = masked[0] & 0x7F | top
    return bytes(masked) + h + bytes([trailer])


def rsa():
    message = b"what an authority says"
    key = Rsa("rsa-2048", 2048)
    schemes = {
        "rsa-pkcs1-sha256": lambda k, m: pkcs1(k, "sha256", m),
        "rsa-pkcs1-sha384": lambda k, m: pkcs1(k, "sha384", m),
        "rsa-pkcs1-sha512": lambda k, m: pkcs1(k, "sha512", m),
        "rsa-pss-sha384": pss,
    }
    sized = {bits: Rsa(f"rsa-{bits}", bits) for bits in (3072, 4096, 8192)}
    odd = {bits: Rsa(f"rsa-{bits}", bits) for bits in (1024, 2040, 2047, 2049, 8200)}
    exponents = {e: Rsa(f"rsa-e{e}", 2048, e) for e in (3, 2**32 + 1, 2**33 - 1, 2**33 + 1, 2**64 + 13)}
    for scheme, encode in schemes.items():
        def add(name, signature, accepted, der=None, message=message):
            case(scheme, name, key.der() if der is None else der, message, signature, accepted)
        good = key.raw(encode(key, message))
        add("as made", good, True)
        add("an empty message", key.raw(encode(key, b"")), True, message=b"")
        add("another message", good, False, message=b"what an authority said")
        for bits, k in sized.items():
            case(scheme, f"{bits} bits", k.der(), message, k.raw(encode(k, message)), True)
        for bits, k in odd.items():
            if bits % 8 and scheme == "rsa-pss-sha384":
                continue  # the encoding differs in length, and PKCS #1 shows the same rule
            case(scheme, f"{bits} bits", k.der(), message, k.raw(encode(k, message)), False)
        for e, k in exponents.items():
            case(scheme, f"the exponent is {e}", k.der(), message, k.raw(encode(k, message)), e < 2**33)
        em = encode(key, message)
        add("the exponent is one, and the signature the encoded message", em, False, sequence(integer(key.n), integer(1)))
        for e in (0, 2, 65536):
            add(f"the exponent is {e}", good, False, sequence(integer(key.n), integer(e)))
        add("the exponent is the modulus less two", good, False, sequence(integer(key.n), integer(key.n - 2)))
        add("the exponent and the modulus changed places", good, False, sequence(integer(key.e), integer(key.n)))

        s = int.from_bytes(good, "big")
        add("the signature negated", (key.n - s).to_bytes(256, "big"), False)
        for name, wrong in [("zero", 0), ("one", 1), ("the modulus", key.n), ("the modulus less one", key.n - 1),
                            ("the modulus and one", key.n + 1), ("all ones", 256**256 - 1)]:
            add(f"the signature is {name}", wrong.to_bytes(256, "big"), False)
        below = next(m for m in (b"message %d" % i for i in range(999))
                     if int.from_bytes(key.raw(encode(key, m)), "big") + key.n < 256**256)
        low = key.raw(encode(key, below))
        add("a low signature", low, True, message=below)
        add("a low signature and the modulus", (int.from_bytes(low, "big") + key.n).to_bytes(256, "big"), False, message=below)
        zero = next(m for m in (b"message %d" % i for i in range(9999)) if key.raw(encode(key, m))[0] == 0)
        short = key.raw(encode(key, zero))
        add("the signature begins with a zero", short, True, message=zero)
        add("the signature's zero is left out", short[1:], False, message=zero)
        add("a zero before the signature", b"\0" + good, False)
        add("a zero after the signature", good + b"\0", False)
        add("a byte short", good[:-1], False)
        add("empty", b"", False)

        n, e = integer(key.n), integer(key.e)
        number_ = tlv(3, b"\0" + key.der())
        rsa_oid = bytes.fromhex("300d06092a864886f70d0101010500")
        for name, der in [
            ("the key is a SubjectPublicKeyInfo", sequence(rsa_oid, number_)),
            ("a byte after the key", key.der() + b"\0"),
            ("a third number in the key", sequence(n, e, integer(1))),
            ("the key is a byte short", key.der()[:-1]),
            ("the key is empty", b""),
            ("the key has no exponent", sequence(n)),
            ("the modulus is negative", sequence(tlv(2, key.n.to_bytes(256, "big")), e)),
            ("the modulus has a needless zero", sequence(tlv(2, b"\0\0" + key.n.to_bytes(256, "big")), e)),
            ("the exponent has a needless zero", sequence(n, tlv(2, b"\0" + key.e.to_bytes(3, "big")))),
            ("the exponent has no bytes", sequence(n, b"\2\0")),
            ("the key's length is not the shortest", b"\x30\x83\0" + key.der()[2:]),
            ("the key has an indefinite length", b"\x30\x80" + n + e + b"\0\0"),
            ("the modulus is even", sequence(integer(key.n - 1), e)),
            ("the modulus is another", sequence(integer(key.n - 2), e)),
        ]:
            add(name, good, False, der)

    for digest in ("sha256", "sha384", "sha512"):
        scheme, size = f"rsa-pkcs1-{digest}", int(digest[3:]) // 8
        other = "sha384" if digest == "sha256" else "sha256"
        info = INFO[digest]
        without = bytes([0x30, info[1] - 2, 0x30, info[3] - 2]) + info[4:15] + info[17:]
        full = key.size - 3 - len(info) - size
        for name, em in [
            ("of the other digest", pkcs1(key, other, message)),
            ("the digest's parameters are absent", pkcs1(key, digest, message, info=without)),
            ("no DigestInfo", pkcs1(key, digest, message, info=b"")),
            ("the digest's identifier is the other's", pkcs1(key, digest, message, info=info[:14] + INFO[other][14:15] + info[15:])),
            ("DigestInfo's length in two bytes", pkcs1(key, digest, message, info=b"\x30\x81" + info[1:])),
            ("DigestInfo's parameters are not empty", pkcs1(key, digest, message,
                info=bytes([0x30, info[1] + 2, 0x30, info[3] + 2]) + info[4:15] + b"\5\2\0\0" + info[17:])),
            ("garbage after the digest", pkcs1(key, digest, message, padding=b"\xff" * 8, after=bytes(full - 8))),
            ("one byte after the digest", pkcs1(key, digest, message, padding=b"\xff" * (full - 1), after=b"\0")),
            ("block type 0", pkcs1(key, digest, message, head=b"\0\0")),
            ("block type 2", pkcs1(key, digest, message, head=b"\0\2")),
            ("padding of zeros", pkcs1(key, digest, message, padding=bytes(full))),
            ("padding with a bit missing", pkcs1(key, digest, message, padding=b"\xff" * (full - 1) + b"\xfe")),
            ("padding with a zero inside", pkcs1(key, digest, message, padding=b"\xff" * 100 + b"\0" + b"\xff" * (full - 101))),
            ("no zero after the padding", pkcs1(key, digest, message).replace(b"\xff\0\x30", b"\xff\xff\x30")),
            ("encoded for PSS", pss(key, message)),
        ]:
            assert len(em) == key.size, name
            case(scheme, name, key.der(), message, key.raw(em), False)
    for name, em in [
        *((f"a salt of {salt} bytes", pss(key, message, salt=salt)) for salt in (0, 20, 32, 47, 49, 64, 256 - 48 - 2)),
        ("the trailer is CC", pss(key, message, trailer=0xCC)),
        ("the trailer is zero", pss(key, message, trailer=0)),
        ("the separator is zero", pss(key, message, separator=0)),
        ("the separator is two", pss(key, message, separator=2)),
        ("the separator is 81", pss(key, message, separator=0x81)),
        ("padding that is not zero", pss(key, message, ones=bytes(3) + b"\1")),
        ("padding whose first byte is not zero", pss(key, message, ones=b"\1")),
        ("the mask with SHA-256", pss(key, message, mask="sha256")),
        ("all with SHA-256", pss(key, message, mask="sha256", digest="sha256", salt=32)),
        ("all with SHA-512", pss(key, message, mask="sha512", digest="sha512", salt=64)),
        ("encoded for PKCS #1 v1.5", pkcs1(key, "sha384", message)),
    ]:
        case("rsa-pss-sha384", name, key.der(), message, key.raw(em), False)
    # The topmost bit of the encoded message must be clear (RFC 8017 9.1.2 step 6): set, the number
    # must stay below the modulus to be signed at all.
    m = next(m for m in (b"message %d" % i for i in range(9999))
             if int.from_bytes(pss(key, m, top=0x80), "big") < key.n)
    case("rsa-pss-sha384", "the topmost bit is set", key.der(), m, key.raw(pss(key, m, top=0x80)), False)


ecdsa(P384)
ecdsa(P256)
asn1()
rsa()
seen = set()
for c in CASES:
    assert (c["scheme"], c["name"]) not in seen, c["name"]
    seen.add((c["scheme"], c["name"]))
sys.stdout.write("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
