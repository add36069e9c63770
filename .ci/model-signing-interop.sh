#!/usr/bin/env bash
# The `model-signing` Python package and ours on each other's signatures, and other people's readers
# on our provenance and bill of materials (docs/specs/provenance.md).
#
#   .ci/model-signing-interop.sh
#
# Needs Python 3 with venv, openssl, and the Python package index; 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v openssl >/dev/null || { echo "needs openssl"; exit 77; }
python3 -m venv "$work/venv" >/dev/null || { echo "needs python3-venv"; exit 77; }
# model-signing uses pyopenssl and leaves it to another package to bring it along.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'model-signing>=1.1.1' pyopenssl \
  'cyclonedx-python-lib[json-validation]>=11' || { echo "needs the Python package index"; exit 77; }
python="$work/venv/bin/python"
export PYTHONDONTWRITEBYTECODE=1
package() { "$python" -m model_signing "$@" >"$work/said" 2>&1; }

cargo build --workspace --profile ci --locked --quiet --example model_signing
ours() { "${CARGO_TARGET_DIR:-target}/ci/examples/model_signing" "$@" >"$work/said" 2>&1; }
# CODE COMMAND...: the command ends with CODE.
ends() {
  local wanted=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" -eq "$wanted" ] || { echo "FAILED ($code instead of $wanted): $*"; cat "$work/said"; exit 1; }
}
say() { echo "ok: $*"; }

# 1. The package signs with keys, we verify.
model="$work/model"
mkdir -p "$model/sub" "$model/.git"
printf '{"model_type":"tiny"}' >"$model/config.json"
head -c 3000000 /dev/urandom >"$model/model.safetensors"
: >"$model/sub/empty"
printf x >"$model/sub-x"
printf g >"$model/.git/config"
for curve in P-256 P-384; do
  openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/$curve.key" 2>/dev/null
  openssl pkey -in "$work/$curve.key" -pubout -out "$work/$curve.pub"
  ends 0 package sign key "$model" --private_key "$work/$curve.key" --signature "$model/model.sig"
  ends 0 ours verify-key "$work/$curve.pub" "$model"
  say "the package signs with $curve, we verify: $(head -n 1 "$work/said")"
done
ends 3 ours verify-key "$work/P-256.pub" "$model"
printf y >"$model/sub-x"; ends 3 ours verify-key "$work/P-384.pub" "$model"; printf x >"$model/sub-x"
printf x >"$model/more"; ends 3 ours verify-key "$work/P-384.pub" "$model"; rm "$model/more"
rm "$model/sub/empty"; ends 3 ours verify-key "$work/P-384.pub" "$model"; : >"$model/sub/empty"
say "another key, a changed, an added and a missing file are refused"

# 2. The package signs with a certificate, we verify.
cat >"$work/ca.cnf" <<'CNF'
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = email:release@vendor.example
CNF
certificate() { # NAME SECTION ISSUER
  openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr" 2>/dev/null
  local by=(-CA "$work/$3.pem" -CAkey "$work/$3.key" -CAcreateserial)
  [ "$1" = "$3" ] && by=(-signkey "$work/$1.key")
  openssl x509 -req -in "$work/$1.csr" "${by[@]}" -days 30 -sha384 -extfile "$work/ca.cnf" -extensions "$2" \
    -out "$work/$1.pem" 2>/dev/null
}
for key in root middle signer; do
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$key.key" 2>/dev/null
done
certificate root ca root
certificate middle ca root
certificate signer leaf middle
ends 0 package sign certificate "$model" --private_key "$work/signer.key" --signing_certificate "$work/signer.pem" \
  --certificate_chain "$work/middle.pem" --signature "$model/model.sig"
ends 0 ours verify-certificate "$work/root.pem" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$model"
say "the package signs with a certificate, we verify: $(head -n 1 "$work/said")"
ends 3 ours verify-certificate "$work/root.pem" 2020-01-01T00:00:00Z "$model"
ends 3 ours verify-certificate "$work/signer.pem" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$model"
say "another time and another root are refused"

# 3. We sign a sealed model with all that lies beside it, the package verifies.
sealed="$work/llama.sealed"
cp -r tests/vectors/sealed-model/000-sound "$sealed"
rm -f "$sealed/vector.json"
id=$(printf '07%.0s' $(seq 32))
ends 0 ours keygen "$work/ours.key" "$work/ours.pub"
ends 0 ours provenance "$work/ours.key" "$id" "$sealed"
ends 0 ours bom "$id" "$sealed"
ends 0 ours sign "$work/ours.key" "$sealed"
ends 0 ours verify-key "$work/ours.pub" "$sealed"
ends 0 package verify key "$sealed" --signature "$sealed/model.sig" --public_key "$work/ours.pub" \
  --ignore-paths "$sealed/keys.cbor"
say "we sign a sealed model, the package verifies: $(tail -n 1 "$work/said")"
printf x >>"$sealed/keys.cbor"
ends 0 package verify key "$sealed" --signature "$sealed/model.sig" --public_key "$work/ours.pub"
say "replaced keys leave the signature as it is, by the paths that it leaves out alone"
printf x >>"$sealed/manifest.cbor"
ends 1 package verify key "$sealed" --signature "$sealed/model.sig" --public_key "$work/ours.pub"
say "the package refuses a changed manifest"
openssl pkey -in "$work/ours.key" -noout -check >/dev/null
say "openssl reads our key"

# 4. Sigstore's own library, the schema of CycloneDX and the types of in-toto agree with ours.
"$python" - "$sealed" "$work/ours.pub" tests/vectors/model-signing/sigstore <<'PY'
import base64, json, pathlib, sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

sealed, public, sigstore = map(pathlib.Path, sys.argv[1:])

error = JsonStrictValidator(SchemaVersion.V1_6).validate_str((sealed / "bom.cdx.json").read_text())
assert error is None, error
print("ok: the CycloneDX 1.6 schema takes our bill of materials")

envelope = json.loads((sealed / "provenance.intoto.jsonl").read_text())
payload = base64.b64decode(envelope["payload"])
kind = envelope["payloadType"]
pae = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
key = serialization.load_pem_public_key(public.read_bytes())
key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae, ec.ECDSA(hashes.SHA256()))
statement.Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement())).validate()
sealing = json_format.ParseDict(json.loads(payload)["predicate"], provenance_pb2.Provenance())
assert sealing.run_details.metadata.finished_on.seconds > sealing.run_details.metadata.started_on.seconds
assert [one.name for one in sealing.build_definition.resolved_dependencies] == ["source"]
print("ok: in-toto's types take our provenance, and cryptography its signature")

verifier = Verifier(trusted_root=TrustedRoot.from_file(str(sigstore / "trusted_root.json")))
bundle = Bundle.from_json((sigstore / "model.sig").read_bytes())
identity = policy.Identity(identity="stefanb@us.ibm.com", issuer="https://sigstore.verify.ibm.com/oauth2")
verifier.verify_dsse(bundle, identity)
print("ok: Sigstore's library takes the captured signature, as we do")
PY
ours_root=tests/vectors/model-signing/sigstore/trusted_root.json
mkdir "$work/public"
cp tests/vectors/model-signing/sigstore/model.sig "$work/public/"
# The files themselves are not in the vector: the signature verifies, and then a file is missing.
ends 3 ours verify-sigstore "$ours_root" stefanb@us.ibm.com https://sigstore.verify.ibm.com/oauth2 "$work/public"
grep -q PROVENANCE_FILE_MISSING "$work/said" || { cat "$work/said"; exit 1; }
ends 3 ours verify-sigstore "$ours_root" somebody@us.ibm.com https://sigstore.verify.ibm.com/oauth2 "$work/public"
grep -q PROVENANCE_IDENTITY "$work/said" || { cat "$work/said"; exit 1; }
say "we take it too, and not for somebody else's"
"$work/venv/bin/pip" list --disable-pip-version-check 2>/dev/null |
  grep -E '^(model-signing|sigstore|cyclonedx-python-lib|in-toto-attestation) ' | tr -s ' '
