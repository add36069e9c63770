#!/usr/bin/env bash
# The `openai` Python package through the proxy of `demo --keep`: chats and their parameters, schemas, tools, refusals.
# Exit 77 where Python or the package cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
demo=
cleanup() { [ -n "$demo" ] && kill "$demo" 2>/dev/null && wait "$demo" 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT

python3 -m venv "$work/venv" >/dev/null 2>&1 || exit 77
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openai || exit 77

cargo build --release --locked --quiet
# KIND FLAG...: a demo that stays, and the package's questions to it
talk() {
  cargo run --release --locked --quiet -- demo "${@:2}" --keep 2>"$work/log" >/dev/null &
  demo=$!
  for _ in $(seq 600); do
    grep -q 'base_url=' "$work/log" && break
    kill -0 "$demo" 2>/dev/null || { cat "$work/log"; exit 1; }
    sleep 0.2
  done
  base=$(sed -n 's/.*base_url=\([^ ]*\).*/\1/p' "$work/log" | head -n 1)
  key=$(cat "$(sed -n 's/.*api_key=$(cat \([^)]*\)).*/\1/p' "$work/log" | head -n 1)")
  BASE=$base KEY=$key KIND=$1 "$work/venv/bin/python" .ci/openai-interop.py
  kill "$demo" && wait "$demo" || true
  demo=
}
talk tiny --offline
# Needs the model in the cache, or a way to fetch it.
talk real
