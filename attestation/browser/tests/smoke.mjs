// Drives the example page in a headless Chromium, as a user would: picks files, presses buttons,
// reads the list.
//
//   node smoke.mjs CHROMIUM PAGE_DIRECTORY MODULE_DIRECTORY VECTORS_DIRECTORY
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

const [chromium, page, module, vectors] = process.argv.slice(2);
if (!vectors) {
  console.error("wanted: CHROMIUM PAGE_DIRECTORY MODULE_DIRECTORY VECTORS_DIRECTORY");
  process.exit(2);
}

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const PATIENCE_MS = 120_000;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
const ATTEST = "/.well-known/strongroom/attest";
// What the page must show: the heading, and how many checks at least.
const WANTED = {
  "accepted from files": ["accepted", 10],
  "refused from files": ["SIGNATURE", 5],
  "nonsense from files": ["PARSE", 0],
  "a replay from a server": ["NONCE", 4],
  "no server": ["FAILED", 0],
};

const profile = mkdtempSync(join(tmpdir(), "strongroom-smoke-"));
let finish;
const done = new Promise((resolve) => (finish = resolve));
const server = createServer(serve);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/index.html`;
// A group of its own: the browser's other processes end with it, and write nothing more to the profile.
const browser = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, address], { stdio: "ignore", detached: true });
browser.once("exit", () => finish(null));
const patience = setTimeout(finish, PATIENCE_MS, null);

const shown = await done;
clearTimeout(patience);
server.close();
server.closeAllConnections();
if (browser.exitCode === null && browser.signalCode === null) {
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  process.kill(-browser.pid, "SIGKILL");
  await ended;
}
try {
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
} catch (error) {
  // What the page showed counts, whatever is left behind.
  console.error(`${profile} is left behind: ${error.code}`);
}

let wrong = 0;
for (const [name, [heading, least]] of Object.entries(WANTED)) {
  const found = shown?.[name];
  if (found?.heading === heading && found.checks >= least) continue;
  wrong += 1;
  console.error(`${name}: the page shows ${JSON.stringify(found)}, wanted ${heading} and ${least} checks`);
}
console.log(`page: ${Object.keys(WANTED).length} stories, ${wrong} wrong`);
process.exit(wrong === 0 ? 0 : 1);

function serve(request, response) {
  const path = normalize(new URL(request.url, "http://page").pathname);
  if (request.method === "POST" && path === "/shown") {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      response.end();
      finish(JSON.parse(text));
    });
    return;
  }
  try {
    response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
    response.end(content(path));
  } catch {
    response.writeHead(404).end();
  }
}

function content(path) {
  if (path === `/replay${ATTEST}`) return readFileSync(join(vectors, "session/001-accepted/response.json"));
  if (path === "/index.html") return readFileSync(join(page, path)) + '<script type="module" src="driver.js"></script>';
  if (path === "/driver.js") return `(${driver})();`;
  if (path.startsWith("/module/")) return readFileSync(join(module, path.slice("/module/".length)));
  if (path.startsWith("/vectors/")) return readFileSync(join(vectors, path.slice("/vectors/".length)));
  return readFileSync(join(page, path));
}

// Runs in the page.
async function driver() {
  const $ = (id) => document.getElementById(id);
  const shown = {};

  async function choose(id, ...paths) {
    const files = new DataTransfer();
    for (const path of paths) files.items.add(new File([await (await fetch(`/vectors/${path}`)).blob()], path));
    $(id).files = files.files;
  }

  async function press(name, form) {
    form.requestSubmit();
    while ($("answer").hidden || $("outcome").textContent === "WAITING") {
      await new Promise((resolve) => new MutationObserver(resolve).observe($("answer"), { subtree: true, childList: true, attributes: true }));
    }
    const items = [...$("checks").children];
    shown[name] = { heading: $("outcome").textContent, message: $("message").textContent, checks: items.length };
  }

  await choose("evidence", "snp/012-genoa-v5/report.bin");
  await choose("endorsements", "snp/012-genoa-v5/vcek.der");
  $("time").value = "2025-10-01T00:00:00Z";
  await press("accepted from files", $("files"));
  await choose("evidence", "snp/401-signature-bit/report.bin");
  await press("refused from files", $("files"));
  await choose("evidence", "snp/102-empty/expected.json");
  await press("nonsense from files", $("files"));

  const said = await (await fetch("/vectors/session/001-accepted/expected.json")).json();
  await choose("trust-file", "session/001-accepted/trust-file.cbor");
  $("trust-root").value = said.trust_root;
  $("time").value = new Date(said.now * 1000).toISOString();
  $("address").value = `${location.origin}/replay`;
  await press("a replay from a server", $("server"));
  $("address").value = `${location.origin}/nobody/`;
  await press("no server", $("server"));

  await fetch("/shown", { method: "POST", body: JSON.stringify(shown) });
}
