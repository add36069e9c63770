// Verifies every vector twice, with the module and with a native program, and compares the two
// answers byte for byte, and their outcome with the one that the vector says.
//
//   node compare.mjs MODULE_DIRECTORY NATIVE_PROGRAM VECTORS_DIRECTORY
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [moduleDirectory, native, vectors] = process.argv.slice(2);
if (!vectors) {
  console.error("wanted: MODULE_DIRECTORY NATIVE_PROGRAM VECTORS_DIRECTORY");
  process.exit(2);
}

// Sets that must be there, so that a moved folder does not pass as nothing to do.
const REQUIRED = ["azure", "nvidia", "session", "sgx", "simulated-azure", "simulated-nvidia", "simulated-snp", "simulated-tdx", "snp", "tdx"];
// Where a vector's evidence lies when its expected.json does not say.
const EVIDENCE = ["report.bin", "quote.bin", "evidence.json"];

const browser = await import(pathToFileURL(join(moduleDirectory, "strongroom_browser.js")));
browser.initSync({ module: readFileSync(join(moduleDirectory, "strongroom_browser_bg.wasm")) });

const sets = readdirSync(vectors, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const cases = [...sets.sort().flatMap(readSet), ...badRequests()];
const requests = cases.map(({ call, request }) => `${call} ${JSON.stringify(request)}\n`).join("");
const run = spawnSync(native, { input: requests, encoding: "utf8", maxBuffer: 1 << 28 });
if (run.status !== 0) {
  console.error(`${native} ended with ${run.status ?? run.error}: ${run.stderr}`);
  process.exit(1);
}
const answers = run.stdout.split("\n").slice(0, -1);

const wrong = [];
cases.forEach(({ name, call, request, expected }, index) => {
  const answer = browser[call](JSON.stringify(request));
  if (answer !== answers[index]) {
    wrong.push(`${name}: two answers\n  module: ${answer}\n  native: ${answers[index]}`);
    return;
  }
  const { status, result, code, error } = JSON.parse(answer);
  const outcome = error?.code ?? code ?? status ?? result;
  if (outcome !== expected) wrong.push(`${name}: ${outcome}, wanted ${expected}`);
});
if (answers.length !== cases.length) wrong.push(`${answers.length} native answers to ${cases.length} requests`);
for (const set of REQUIRED) {
  if (!cases.some(({ name }) => name.startsWith(`${set}/`))) wrong.push(`no vector of the set ${set}`);
}
for (const line of wrong) console.error(line);
console.log(`browser: ${cases.length} vectors, ${wrong.length} wrong`);
process.exit(wrong.length === 0 ? 0 : 1);

// Requests that are none: each must be answered, and alike.
function badRequests() {
  const evidence = { evidence: [""], at: 0, policy: "strict" };
  const session = { trust_file: "", trust_root: "00".repeat(32), request_body: "", response: "", now: 0 };
  const bad = [
    ["no object", "verify", 7, "USAGE"],
    ["an unknown field", "verify", { ...evidence, nounce: "00" }, "USAGE"],
    ["no time", "verify", { ...evidence, at: undefined }, "USAGE"],
    ["a time in words", "verify", { ...evidence, at: "yesterday" }, "USAGE"],
    ["a negative time", "verify", { ...evidence, at: -1 }, "USAGE"],
    ["no evidence", "verify", { ...evidence, evidence: [] }, "USAGE"],
    ["evidence that is no base64", "verify", { ...evidence, evidence: ["***"] }, "USAGE"],
    ["evidence of no bytes", "verify", evidence, "PARSE"],
    ["a policy that is none", "verify", { ...evidence, policy: "lenient" }, "USAGE"],
    ["short report data", "verify", { ...evidence, report_data: "00" }, "USAGE"],
    ["a development root that is none", "verify", { ...evidence, development_roots: ["***"] }, "USAGE"],
    ["a trust root that is none", "verifySession", { ...session, trust_root: "sha256:" }, "USAGE"],
    ["a trust file of no bytes", "verifySession", session, "TRUST_FILE"],
    ["a word for a switch", "verifySession", { ...session, accept_simulated: "yes" }, "USAGE"],
  ];
  return bad.map(([name, call, request, expected]) => ({ name: `bad/${name}`, call, request, expected }));
}

// The vectors of a folder like snp/: its folders whose expected.json names an outcome and a time.
function readSet(set) {
  const folders = readdirSync(join(vectors, set), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map((entry) => join(set, entry.name))
    .sort()
    .filter((name) => existsSync(join(vectors, name, "expected.json")))
    .flatMap(readVector);
}

function readVector(name) {
  const folder = join(vectors, name);
  const said = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  if (said.authentic !== undefined) return readCaptured(name, folder, said);
  if (said.now === undefined || said.expected === undefined) return [];
  const file = (path) => readFileSync(join(folder, path)).toString("base64");
  if (said.trust_root !== undefined) {
    const request = {
      trust_file: file("trust-file.cbor"), request_body: file("request.json"), response: file("response.json"),
      trust_root: said.trust_root, now: said.now, accept_simulated: said.accept_simulated,
    };
    return [{ name, call: "verifySession", request, expected: said.expected }];
  }
  const listed = readdirSync(folder).sort();
  const evidence = said.evidence ?? EVIDENCE.filter((path) => listed.includes(path));
  const endorsements = said.endorsements ?? listed.filter((path) => path.endsWith(".der"));
  const policy = said.policy ?? readFileSync(join(folder, said.policy_file), "utf8");
  const request = {
    evidence: evidence.map(file), endorsements: endorsements.map(file),
    report_data: said.report_data ?? undefined, nonce: said.nonce ?? undefined, at: said.now, policy,
    development_roots: [said.anchor ?? []].flat().map(file),
  };
  return [{ name, call: "verify", request, expected: said.expected }];
}

// Captured artefacts, judged under both policies that are built in.
function readCaptured(name, folder, said) {
  const artefacts = said.artefacts.map((path) => readFileSync(join(folder, path)).toString("base64"));
  const request = {
    evidence: artefacts, report_data: said.report_data ?? undefined, nonce: said.nonce ?? undefined, at: said.now,
  };
  return ["authentic", "strict"].map((policy) => ({
    name: `${name} (${policy})`, call: "verify", request: { ...request, policy }, expected: said[policy],
  }));
}
