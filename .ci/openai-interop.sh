#!/usr/bin/env bash
# A streamed chat with the `openai` Python package through the proxy of `demo --keep`.
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
cargo run --release --locked --quiet -- demo --offline --keep 2>"$work/log" >/dev/null &
demo=$!
for _ in $(seq 600); do
  grep -q 'base_url=' "$work/log" && break
  kill -0 "$demo" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.2
done
base=$(sed -n 's/.*base_url=\([^ ]*\).*/\1/p' "$work/log" | head -n 1)
key=$(cat "$(sed -n 's/.*api_key=$(cat \([^)]*\)).*/\1/p' "$work/log" | head -n 1)")
BASE=$base KEY=$key "$work/venv/bin/python" - <<'PY'
import os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["KEY"])
model = client.models.list().data[0].id
stream = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "Say hello."}], stream=True, max_tokens=16,
    stream_options={"include_usage": True})
pieces, usage = [], None
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        pieces.append(chunk.choices[0].delta.content)
    usage = chunk.usage or usage
assert pieces and usage.completion_tokens > 0, (pieces, usage)
whole = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hello."}], max_tokens=16)
assert whole.choices[0].message.role == "assistant"
try:
    openai.OpenAI(base_url=os.environ["BASE"], api_key="sk-wrong").models.list()
    raise SystemExit("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error.code
print(f"openai {openai.__version__}: {len(pieces)} pieces, usage {usage.completion_tokens}")
PY
