"""A second reader of sealed models, written from docs/specs/sealed-model.md alone. It shows that the page is enough.

It opens whole models and is slow: BLAKE3 is in Python here. Beyond Python it needs the package `cryptography`
(48 or later, for ML-KEM-768).

    sealed_model.py SEALED PUBLISHER SECRET OUT
        opens the model in the folder SEALED with the publisher's key and the recipient's secret (files with
        hexadecimal digits), and writes its files below the new folder OUT
"""

import hashlib
import hmac
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import cbor
import xwing
from blake3 import blake3

PREFIX = b"strongroom-sealed/v1/"
MEDIA_TYPE = "application/strongroom-sealed-core+cose"
TAG = 16
LEAF = 32
PRIVATE = 0xFFFFFFFF
MAX_MANIFEST, MAX_CORE, MAX_KEYS = 32 << 20, 1 << 20, 256 << 10
FIELDS = {1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 14}
HEADER = (1, 2, 3, 4, 5, 6, 12, 14, 15, 16)
KINDS = {"safetensors", "gguf", "tokenizer", "config", "adapter", "template", "other"}


class Refused(Exception):
    """One of the page's codes, and why."""

    def __init__(self, code: str, why: str):
        super().__init__(why)
        self.code = code


def wanted(holds: bool, why: str, code: str = "SEALED_FORMAT"):
    if not holds:
        raise Refused(code, why)


def decoded(data: bytes, what: str):
    try:
        return cbor.decode(data)
    except cbor.CborError as error:
        raise Refused("SEALED_FORMAT", f"{what}: {error}") from error


def is_bytes(value, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def is_uint(value, least: int = 0, most: int = (1 << 64) - 1) -> bool:
    return isinstance(value, int) and least <= value <= most


@dataclass(frozen=True)
class Blob:
    chunks: int
    last_len: int
    run: int
    salt: bytes
    root: bytes


@dataclass(frozen=True)
class File:
    path: str
    kind: str
    offset: int
    length: int
    sha256: bytes


class Sealed:
    """A sealed model whose signature holds and whose core is within its limits: steps 1 to 3."""

    def __init__(self, folder: Path, publisher: bytes):
        self.folder = folder
        manifest = read(folder / "manifest.cbor", MAX_MANIFEST)
        parts = decoded(manifest, "manifest")
        wanted(isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, bytes) for part in parts),
               "a manifest is two byte strings")  # fmt: skip
        signed, self.private = parts
        wanted(len(signed) <= MAX_CORE, "the signed core is too large")
        payload = verified(signed, publisher)
        self.model_id = hashlib.sha256(payload).digest()
        core = decoded(payload, "core")
        wanted(isinstance(core, dict) and isinstance(core.get(1), int), "a core is a map with a format")
        wanted(core[1] == 1, f"format {core[1]}", "SEALED_UNSUPPORTED")
        wanted(set(core) - {15, 16} == FIELDS, "other fields than a core has")
        wanted(is_uint(core[2]), "the suite is no number")
        wanted(core[2] in (1, 2), f"suite {core[2]}", "SEALED_UNSUPPORTED")
        self.suite, self.artifact, self.version = core[2], core[3], core[5]
        name = core[4]
        wanted(is_bytes(core[3], 16) and is_uint(core[5]) and is_uint(core[14]), "artifact, version or time")
        wanted(isinstance(name, str) and 1 <= len(name) <= 128 and all("!" <= c <= "~" for c in name), "name")
        wanted(core[12] in ("prod", "dev"), "environment")
        wanted(15 not in core or is_bytes(core[15], 32), "previous version")
        wanted(16 not in core or is_bytes(core[16], 32), "base")
        wanted(is_uint(core[6], 16, 23), "chunk size")
        self.chunk = 1 << core[6]
        self.commitments = core[10]
        wanted(isinstance(self.commitments, list) and 1 <= len(self.commitments) <= 64
               and all(is_bytes(item, 32) for item in self.commitments), "commitments")  # fmt: skip
        self.blobs = self._blobs(core[7])
        wanted(isinstance(core[11], list) and len(core[11]) == 2 and is_uint(core[11][0], 4096, 16 << 20)
               and is_bytes(core[11][1], 32), "private part")  # fmt: skip
        self.private_len, self.private_root = core[11]
        header = {key: core[key] for key in HEADER if key in core}
        self.header_hash = hashlib.sha256(cbor.encode(header)).digest()

    def _blobs(self, rows):
        wanted(isinstance(rows, list) and 1 <= len(rows) <= 10_000, "number of blobs")
        for row in rows:
            wanted(isinstance(row, list) and len(row) == 5 and is_uint(row[0], 1, 16_384)
                   and is_uint(row[1], 1, self.chunk) and is_uint(row[2], 0, len(self.commitments) - 1)
                   and is_bytes(row[3], 32) and is_bytes(row[4], 32), "a blob")  # fmt: skip
        blobs = [Blob(*row) for row in rows]
        for blob in blobs[:-1]:
            wanted(blob.last_len == self.chunk and blob.chunks == blobs[0].chunks, "a blob of another length")
        wanted(blobs[-1].chunks <= blobs[0].chunks, "a longer blob at the end")
        return blobs

    def unwrap(self, secret: bytes):
        """The keys of all runs out of keys.cbor, with the recipient's secret."""
        keys = decoded(read(self.folder / "keys.cbor", MAX_KEYS), "keys")
        wanted(isinstance(keys, dict) and set(keys) == {1, 2} and is_bytes(keys[1], 16) and isinstance(keys[2], list)
               and 1 <= len(keys[2]) <= 64, "keys")  # fmt: skip
        opened = []
        for run, entry in enumerate(keys[2]):
            wanted(isinstance(entry, list) and len(entry) == 3 and entry[0] == run and is_bytes(entry[1], xwing.ENC)
                   and is_bytes(entry[2], 32 + TAG), "a wrapped key")  # fmt: skip
            aad = keys[1] + run.to_bytes(4, "big")
            try:
                opened.append(xwing.open_base(secret, entry[1], PREFIX + b"wrap", aad, entry[2]))
            except (InvalidTag, ValueError) as error:
                raise Refused("SEALED_WRONG_KEY", "a key does not unwrap") from error
        return opened

    def unlock(self, keys):
        """Steps 4 to 6: the files of the model, ready to be read with these keys."""
        wanted(len(keys) == len(self.commitments), "another number of keys", "SEALED_WRONG_KEY")
        holds = True
        for run, (key, commitment) in enumerate(zip(keys, self.commitments)):
            text = PREFIX + b"commit" + self.artifact + run.to_bytes(4, "big")
            holds &= hmac.compare_digest(hmac.digest(key, text, "sha256"), commitment)
        wanted(holds, "no commitment names this key", "SEALED_WRONG_KEY")
        files = self._files(keys)
        for number, blob in enumerate(self.blobs):
            path, length = self._blob_path(number), self._blob_bytes(blob)
            found = path.stat().st_size if path.is_file() else 0
            wanted(found >= length, f"{path.name} is short", "SEALED_TRUNCATED")
            wanted(found == length, f"{path.name} is long")
        return files

    def read(self, keys):
        """Steps 7 and 8: the whole address space, every chunk of it verified."""
        space = bytearray()
        for number, blob in enumerate(self.blobs):
            data = self._blob_path(number).read_bytes()
            leaves = [data[at : at + LEAF] for at in range(len(data) - LEAF * blob.chunks, len(data), LEAF)]
            wanted(self._root(leaves) == blob.root, "the leaf list", "SEALED_TAMPERED")
            chunks = data[: len(data) - LEAF * blob.chunks]
            space += self._open(number, keys[blob.run], blob.salt, chunks, leaves)
        return bytes(space)

    def _files(self, keys):
        chunks = -(-self.private_len // self.chunk)
        tampered = "SEALED_TAMPERED"
        wanted(len(self.private) == self.private_len + TAG * chunks, "length of the private part", tampered)
        step = self.chunk + TAG
        pieces = [self.private[at : at + step] for at in range(0, len(self.private), step)]
        leaves = [self._leaf(PRIVATE, index, piece) for index, piece in enumerate(pieces)]
        wanted(self._root(leaves) == self.private_root, "root of the private part", tampered)
        plain = self._open(PRIVATE, keys[-1], bytes(32), self.private, leaves)
        length = int.from_bytes(plain[:4], "big")
        wanted(len(plain) & (len(plain) - 1) == 0 and length <= len(plain) - 4 and not any(plain[4 + length :]),
               "padding of the private part")  # fmt: skip
        body = decoded(plain[4 : 4 + length], "list of files")
        wanted(isinstance(body, dict) and set(body) == {1, 2} and body[1] == 1 and isinstance(body[2], list)
               and 1 <= len(body[2]) <= 65_536, "list of files")  # fmt: skip
        return self._checked(body[2])

    def _checked(self, rows):
        for row in rows:
            wanted(isinstance(row, list) and len(row) == 5 and isinstance(row[0], str) and row[1] in KINDS
                   and is_uint(row[2]) and is_uint(row[3]) and is_bytes(row[4], 32), "a file")  # fmt: skip
            names = row[0].split("/")
            wanted(len(row[0].encode()) <= 1024 and all(is_name(name) for name in names), "a path")
        files = [File(*row) for row in rows]
        paths = [file.path.encode() for file in files]
        wanted(all(a < b for a, b in zip(paths, paths[1:])), "files that are not sorted")
        end = sum(blob.chunks * self.chunk - self.chunk + blob.last_len for blob in self.blobs)
        taken = 0
        for file in sorted((file for file in files if file.length), key=lambda file: file.offset):
            wanted(file.offset % self.chunk == 0 and file.offset >= taken, "files that overlap")
            taken = file.offset + file.length
        wanted(taken <= end, "a file outside of the address space")
        return files

    def _open(self, number: int, key: bytes, salt: bytes, data: bytes, leaves) -> bytes:
        """Chunks and their tags, in order, as `leaves` say."""
        info = PREFIX + b"blob" + bytes([self.suite]) + self.version.to_bytes(8, "big") + number.to_bytes(4, "big")
        cipher = AESGCM(HKDF(SHA256(), 32, self.artifact, info + salt).derive(key))
        step, plain = self.chunk + TAG, []
        for index, leaf in enumerate(leaves):
            piece = data[index * step : (index + 1) * step]
            final = index == len(leaves) - 1
            nonce = bytes(4) + index.to_bytes(7, "big") + bytes([final])
            place = number.to_bytes(4, "big") + index.to_bytes(8, "big")
            length = (len(piece) - TAG).to_bytes(4, "big")
            aad = PREFIX + b"chunk" + self.header_hash + place + length + bytes([final])
            wanted(self._leaf(number, index, piece) == leaf, f"chunk {index} of blob {number}", "SEALED_TAMPERED")
            try:
                plain.append(cipher.decrypt(nonce, piece, aad))
            except InvalidTag as error:
                raise Refused("SEALED_TAMPERED", f"chunk {index} of blob {number}") from error
        return b"".join(plain)

    def _leaf(self, number: int, index: int, piece: bytes) -> bytes:
        return tree_hash(self.suite, b"\0" + number.to_bytes(4, "big") + index.to_bytes(8, "big") + piece)

    def _root(self, leaves) -> bytes:
        """RFC 9162, 2.1.1."""
        if len(leaves) == 1:
            return leaves[0]
        left = 1 << (len(leaves) - 1).bit_length() - 1
        return tree_hash(self.suite, b"\1" + self._root(leaves[:left]) + self._root(leaves[left:]))

    def _blob_path(self, number: int) -> Path:
        return self.folder / "blobs" / f"{number:04}.bin"

    def _blob_bytes(self, blob: Blob) -> int:
        return (blob.chunks - 1) * self.chunk + blob.last_len + blob.chunks * (TAG + LEAF)


@lru_cache(maxsize=4096)
def tree_hash(suite: int, data: bytes) -> bytes:
    return blake3(data) if suite == 1 else hashlib.sha256(data).digest()


def verified(signed: bytes, publisher: bytes) -> bytes:
    """The payload of a COSE_Sign1 that this publisher signed."""
    parts = decoded(signed, "signed core")
    wanted(isinstance(parts, list) and len(parts) == 4 and all(isinstance(parts[i], bytes) for i in (0, 2, 3)),
           "a COSE_Sign1 has four parts")  # fmt: skip
    protected, unprotected, payload, signature = parts
    wanted(protected == cbor.encode({1: -8}) and unprotected == {}, "other headers than EdDSA's")
    text = cbor.encode(["Signature1", protected, MEDIA_TYPE.encode(), payload])
    try:
        Ed25519PublicKey.from_public_bytes(publisher).verify(signature, text)
    except InvalidSignature as error:
        raise Refused("SEALED_SIGNATURE", "the publisher did not sign this") from error
    return payload


def is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "\\" not in name and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name)


def read(path: Path, most: int) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused("SEALED_IO", str(error)) from error
    wanted(len(data) <= most, f"{path.name} is too large")
    return data


def main(folder: str, publisher: str, secret: str, out: str):
    key, secret = (bytes.fromhex(Path(path).read_text().strip()) for path in (publisher, secret))
    sealed = Sealed(Path(folder), key)
    keys = sealed.unwrap(secret)
    files = sealed.unlock(keys)
    space = sealed.read(keys)
    Path(out).mkdir()
    for file in files:
        path = Path(out, PurePosixPath(file.path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(space[file.offset : file.offset + file.length])
        print(f"{file.path}\t{file.length}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"error[{refused.code}]: {refused}")
