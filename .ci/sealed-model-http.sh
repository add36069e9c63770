#!/usr/bin/env bash
# A sealed model behind servers that are none of ours: nginx, and an S3-like object store (moto). Verified
# from there as from a disk; what is altered there is named.
#
# Needs Python 3 and the package index, and nginx, which it installs where it may. Exit codes: 0 all as
# wanted; 1 not; 77 something needed cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v python3 >/dev/null || { echo "sealed-model-http: Python 3 is missing" >&2; exit 77; }
command -v nginx >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; } >/dev/null 2>&1 \
  || { echo "sealed-model-http: nginx cannot be installed" >&2; exit 77; }
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet 'moto[server]' boto3 || {
  echo "sealed-model-http: moto cannot be installed" >&2
  exit 77
}
cargo build --release --locked --quiet
strongroom=$PWD/target/release/strongroom
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

cd "$work"
head -c 40000000 /dev/urandom > model.gguf
"$strongroom" --json broker init --dir broker --tenant t --deployment d > /dev/null
publisher=$("$strongroom" --json model publisher-key publisher.key | sed 's/.*"publisher":"\([0-9a-f]*\)".*/\1/')
"$strongroom" --json model seal model.gguf model.sealed --to broker/deposit.pub --publisher publisher.key --name m > /dev/null

nginx_port=$(port)
cat > nginx.conf <<CONF
daemon off; pid $work/nginx.pid; error_log $work/nginx.log; events {}
http { access_log off; client_body_temp_path $work/t; proxy_temp_path $work/t; fastcgi_temp_path $work/t;
  uwsgi_temp_path $work/t; scgi_temp_path $work/t; server { listen 127.0.0.1:$nginx_port; root $work; } }
CONF
nginx -c "$work/nginx.conf" -e "$work/nginx.log" & pids+=($!)
s3_port=$(port)
"$work/venv/bin/moto_server" -H 127.0.0.1 -p "$s3_port" > moto.log 2>&1 & pids+=($!)
for p in "$nginx_port" "$s3_port"; do
  for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$p/" && break; sleep 0.1; done
done
AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x "$work/venv/bin/python" - "$s3_port" <<'PYTHON'
import pathlib, sys
import boto3

s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1")
s3.create_bucket(Bucket="models")
for file in pathlib.Path("model.sealed").rglob("*"):
    if file.is_file():
        s3.upload_file(str(file), "models", str(file), ExtraArgs={"ACL": "public-read"})
PYTHON

wrong=0
for url in "http://127.0.0.1:$nginx_port/model.sealed" "http://127.0.0.1:$s3_port/models/model.sealed"; do
  "$strongroom" model verify "$url" --publisher "$publisher" --broker broker --deep || wrong=1
done
# Eight bytes of the copy on the web server (random ones are these once in 2^64).
printf '\xff%.0s' 1 2 3 4 5 6 7 8 | dd of=model.sealed/blobs/0000.bin bs=1 seek=30000000 conv=notrunc status=none
code=0
said=$("$strongroom" --json model verify "http://127.0.0.1:$nginx_port/model.sealed" --publisher "$publisher") || code=$?
[ "$code" -eq 3 ] && grep -q '"SEALED_TAMPERED"' <<<"$said" || { echo "an altered copy was not refused: $code $said"; wrong=1; }
echo "sealed-model-http: nginx and an S3-like store, $wrong wrong"
exit "$wrong"
