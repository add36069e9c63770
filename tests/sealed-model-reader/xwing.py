"""HPKE (RFC 9180) in base mode, opening only, with the KEM X-Wing (0x647a), HKDF-SHA256 and AES-256-GCM."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The ciphertext of X-Wing: one of ML-KEM-768, then a key of X25519.
MLKEM_CIPHERTEXT, X25519_KEY = 1088, 32
ENC = MLKEM_CIPHERTEXT + X25519_KEY
LABEL = b"\\.//^\\"
# KEM, KDF and AEAD.
SUITE = b"HPKE" + bytes.fromhex("647a 0001 0002")


def open_base(secret: bytes, enc: bytes, info: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """The plaintext; `secret` are the 32 bytes of an X-Wing decapsulation key. Raises what `cryptography` raises."""
    shared = _decapsulate(secret, enc)
    context = b"\0" + _extract(b"", b"psk_id_hash", b"") + _extract(b"", b"info_hash", info)
    schedule = _extract(shared, b"secret", b"")
    key, nonce = _expand(schedule, b"key", context, 32), _expand(schedule, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def _decapsulate(secret: bytes, enc: bytes) -> bytes:
    """draft-connolly-cfrg-xwing-kem, section 5."""
    seeds = hashlib.shake_256(secret).digest(96)
    lattice, curve = MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), X25519PrivateKey.from_private_bytes(seeds[64:])
    theirs = enc[MLKEM_CIPHERTEXT:]
    shared = lattice.decapsulate(enc[:MLKEM_CIPHERTEXT])
    agreed = curve.exchange(X25519PublicKey.from_public_bytes(theirs))
    ours = curve.public_key().public_bytes_raw()
    return hashlib.sha3_256(shared + agreed + theirs + ours + LABEL).digest()


def _extract(salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE + label + material, "sha256")


def _expand(key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """One block is enough for every length here."""
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info
    return hmac.digest(key, labelled + b"\1", "sha256")[:length]
