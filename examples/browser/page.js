// The page around the verifier: files and fields become a request, the answer becomes a list.
// ./module/ is what attestation/browser/build.sh writes.
import start, { attestRequest, verify, verifySession } from "./module/strongroom_browser.js";

const MAX_RESPONSE = 4 << 20; // bytes of a server's answer that are read; the verifier takes fewer

const $ = (id) => document.getElementById(id);
const loaded = start();

$("files").addEventListener("submit", (event) => answering(event, fromFiles));
$("server").addEventListener("submit", (event) => answering(event, fromServer));

async function fromFiles() {
  const root = $("development-root").files[0];
  return call(verify, {
    evidence: await Promise.all([...$("evidence").files].map(fileToBase64)),
    endorsements: await Promise.all([...$("endorsements").files].map(fileToBase64)),
    policy: $("policy").value || $("own-policy").value,
    report_data: $("report-data").value || undefined,
    development_roots: root ? [await fileToBase64(root)] : [],
    at: time(),
  });
}

async function fromServer() {
  // 1. A question with a fresh nonce; the time is that of asking.
  const now = time();
  const trust = { trust_file: await fileToBase64($("trust-file").files[0]), trust_root: $("trust-root").value.trim() };
  const question = call(attestRequest, { ...trust, now });
  if (question.error) return question;
  // 2. Its answer, as bytes.
  const address = $("address").value.replace(/\/+$/, "") + question.path;
  const sent = fetch(address, {
    method: "POST", headers: { "content-type": "application/json" }, body: fromBase64(question.body),
    credentials: "omit", redirect: "error", cache: "no-store", signal: AbortSignal.timeout(30_000),
  });
  const response = await sent;
  if (response.status !== 200) throw new Error(`${address} answered ${response.status}`);
  // 3. The judgement, on exactly what was sent and what came back.
  return call(verifySession, {
    ...trust, now, request_body: question.body, response: toBase64(await readLimited(response)),
    accept_simulated: $("accept-simulated").checked,
  });
}

/// Nothing but a parsed answer is shown as one: whatever else happens is a failure.
async function answering(event, ask) {
  event.preventDefault();
  show({ error: { code: "WAITING", message: "not verified yet" }, checks: [] });
  let answer;
  try {
    await loaded;
    answer = await ask();
  } catch (error) {
    answer = { error: { code: "FAILED", message: `${error.message ?? error}: there is no verdict` }, checks: [] };
  }
  show(answer);
}

function call(verifier, request) {
  return JSON.parse(verifier(JSON.stringify(request)));
}

function time() {
  return $("time").value.trim() || Math.floor(Date.now() / 1000);
}

// Evidence is answered as the command answers it (`status`, `code`, `detail`), a server with `result` or `error`.
function show({ status, result, simulated, certified = true, code, detail, error = status && { code, message: detail }, checks }) {
  const accepted = status ? status === "accepted" : result === "accepted" && !error;
  const outcome = $("outcome");
  outcome.textContent = accepted ? (simulated ? "accepted, SIMULATED: this protects nothing" : "accepted") : error.code;
  outcome.className = accepted ? (simulated ? "simulated" : "accepted") : "refused";
  const uncertified = "which machine answers is not proven, and nobody can revoke it: the trust file names no CA";
  $("message").textContent = accepted ? (certified ? "" : uncertified) : error.message;
  $("checks").replaceChildren(...checks.map(checkItem));
  $("answer").hidden = false;
}

function checkItem({ title, code, result, state = result, wanted, found }) {
  const item = element("li", `${state.toUpperCase()} ${title} [${code}]`);
  item.className = state;
  const facts = element("dl");
  facts.append(element("dt", "wanted"), element("dd", wanted), element("dt", "found"), element("dd", found));
  item.append(facts);
  return item;
}

// Text only: what evidence says never becomes markup.
function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function readLimited(response) {
  const pieces = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MAX_RESPONSE) throw new Error("the server's answer is too long");
    pieces.push(value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

async function fileToBase64(file) {
  return toBase64(new Uint8Array(await file.arrayBuffer()));
}

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
