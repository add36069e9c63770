#!/usr/bin/env python3
"""Makes the vectors of this folder but `sigstore/` with the model-signing package.

  python3 generate.py

Needs model-signing 1.1.1, pyopenssl and cryptography. Keys are drawn anew and thrown away, so the
bytes differ from run to run.
"""
import datetime
import pathlib
import shutil
import tempfile

import model_signing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = pathlib.Path(__file__).parent
FILES = {"config.json": b'{"model_type":"tiny"}\n', "model.safetensors": bytes(range(64)),
         "sub/b": b"b", "sub-x": b"x", "empty": b"", ".gitignore": b"*.tmp\n"}
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(**bits):
    every = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**every, **bits})


def certificate(subject, key, issuer, issuer_key, extensions, start=START, days=365, hash=None):
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(start).not_valid_after(start + days * DAY))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hash or hashes.SHA256())


def ca(length=None):
    return [(x509.BasicConstraints(True, length), True), (usage(key_cert_sign=True), True)]


SIGNER = [(x509.BasicConstraints(False, None), True), (usage(digital_signature=True), True),
          (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
          (x509.SubjectAlternativeName([x509.RFC822Name("release@vendor.example")]), False)]


def without(*kinds, plus=()):
    return [one for one in SIGNER if not isinstance(one[0], kinds)] + list(plus)


def sign(config, out):
    with tempfile.TemporaryDirectory() as work:
        model = pathlib.Path(work) / "tiny"
        for path, content in FILES.items():
            (model / path).parent.mkdir(parents=True, exist_ok=True)
            (model / path).write_bytes(content)
        config(model_signing.signing.Config(), pathlib.Path(work)).sign(model, out)


def with_key(key, out, hashing=None):
    def config(config, work):
        (work / "key").write_bytes(pem(key))
        config = config.use_elliptic_key_signer(private_key=work / "key")
        return config.set_hashing_config(hashing) if hashing else config
    sign(config, out)


def with_certificate(key, leaf, chain, out):
    def config(config, work):
        (work / "key").write_bytes(pem(key))
        for place, one in enumerate([leaf, *chain]):
            (work / str(place)).write_bytes(one.public_bytes(serialization.Encoding.PEM))
        return config.use_certificate_signer(private_key=work / "key", signing_certificate=work / "0",
                                             certificate_chain=[work / str(i + 1) for i in range(len(chain))])
    sign(config, out)


for folder in ("key", "certificate", "model"):
    shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / folder).mkdir()
for path, content in FILES.items():
    (HERE / "model" / path).parent.mkdir(exist_ok=True)
    (HERE / "model" / path).write_bytes(content)

for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1):
    key = ec.generate_private_key(curve())
    with_key(key, HERE / "key" / f"{curve.name}.sig")
    (HERE / "key" / f"{curve.name}.pub").write_bytes(public_pem(key))
key = ec.generate_private_key(ec.SECP256R1())
(HERE / "key" / "refused.pub").write_bytes(public_pem(key))
Hashing = model_signing.hashing.Config
with_key(key, HERE / "key" / "blake2.sig", Hashing().use_file_serialization(hashing_algorithm="blake2"))
with_key(key, HERE / "key" / "blake3.sig", Hashing().use_file_serialization(hashing_algorithm="blake3"))
with_key(key, HERE / "key" / "shards.sig", Hashing().use_shard_serialization(shard_size=32))
with_key(key, HERE / "key" / "symlinks.sig", Hashing().set_allow_symlinks(True))

root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
rsa_key = rsa.generate_private_key(65537, 2048)
middle_key = ec.generate_private_key(ec.SECP256R1())
root = certificate("root", root_key, "root", root_key, ca(), days=3650, hash=hashes.SHA384())
rsa_root = certificate("rsa root", rsa_key, "rsa root", rsa_key, ca(), days=3650)
other_root = certificate("root", middle_key, "root", middle_key, ca(), days=3650)
(HERE / "certificate" / "roots.pem").write_bytes(
    root.public_bytes(serialization.Encoding.PEM) + rsa_root.public_bytes(serialization.Encoding.PEM))
(HERE / "certificate" / "other-root.pem").write_bytes(other_root.public_bytes(serialization.Encoding.PEM))
# What `middle` may be, and what `signer` may be: each row is one bundle.
middle = lambda extensions=ca(0), **more: certificate("middle", middle_key, "root", root_key, extensions, **more)
signer = lambda extensions=SIGNER, **more: certificate("signer", key, "middle", middle_key, extensions, **more)
other_key = ec.generate_private_key(ec.SECP256R1())
second = lambda: certificate("second", other_key, "middle", middle_key, ca())
unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), b"\x05\x00")
constraints = x509.NameConstraints([x509.RFC822Name("elsewhere.example")], None)
ROWS = {
    "sound": (signer(), [middle()]),
    "sound-chain-in-any-order": (signer(), [root, second(), middle()]),
    "sound-rsa-root": (certificate("signer", key, "rsa root", rsa_key, SIGNER), [rsa_root]),
    "sound-without-extended-usage": (signer(without(x509.ExtendedKeyUsage)), [middle()]),
    "sound-without-names": (signer(without(x509.SubjectAlternativeName)), [middle()]),
    "signer-expired": (signer(days=30), [middle()]),
    "signer-not-yet-valid": (signer(start=START + 100 * DAY, days=30), [middle()]),
    "middle-expired": (signer(), [middle(days=30)]),
    "signer-for-servers": (signer(without(x509.ExtendedKeyUsage, plus=[
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)])), [middle()]),
    "signer-without-usage": (signer(without(x509.KeyUsage, x509.ExtendedKeyUsage)), [middle()]),
    "signer-that-only-agrees": (signer(without(x509.KeyUsage, plus=[(usage(key_agreement=True), True)])), [middle()]),
    "signer-is-authority": (signer(without(x509.BasicConstraints, plus=[(x509.BasicConstraints(True, None), True)])),
                            [middle()]),
    "signer-unknown-critical": (signer([*SIGNER, (unknown, True)]), [middle()]),
    "middle-is-no-authority": (signer(), [middle(SIGNER)]),
    "middle-may-not-sign": (signer(), [middle([(x509.BasicConstraints(True, 0), True),
                                               (usage(crl_sign=True), True)])]),
    "middle-for-servers": (signer(), [middle([*ca(0), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                                                       False)])]),
    "middle-name-constraints": (signer(), [middle([*ca(0), (constraints, True)])]),
    "path-too-long": (certificate("signer", key, "second", other_key, SIGNER), [second(), middle()]),
    "middle-missing": (signer(), [root]),
    "middle-signed-by-another": (signer(), [certificate("middle", middle_key, "root", middle_key, ca(0))]),
    "signer-signed-by-another": (certificate("signer", key, "middle", other_key, SIGNER), [middle()]),
}
for row, (leaf, chain) in ROWS.items():
    with_certificate(key, leaf, chain, HERE / "certificate" / f"{row}.sig")
