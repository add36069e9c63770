"""Measures programs that encrypt a model on one file, in turn; see sealed-model-bench.sh.

Each round seals (plain file in the page cache, result flushed) and loads (result in the page cache,
plaintext to nowhere, everything that the program can verify verified). Medians of three rounds."""

import json, os, shutil, subprocess, sys, tempfile, time  # noqa: E401
from pathlib import Path

ROUNDS = 3


class Cost:
    def __init__(self, seconds, processor, memory):
        self.seconds, self.processor, self.memory = seconds, processor, memory


def run(*commands):
    """Runs commands one after another; a text goes through the shell."""
    begun, processor, memory = time.monotonic(), 0.0, 0
    for command in commands:
        child = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            raise RuntimeError(f"{command}: {child.stderr.read().decode()}")
        processor += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss // 1024)
    return Cost(time.monotonic() - begun, processor, memory)


def flush(path):
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


class Strongroom:
    name = "strongroom (verifies signature, commitment, tree, tag)"

    def __init__(self, scene):
        self.program, self.out = str(scene.program), scene.path("ours.sealed")
        self.broker, self.key, self.plain = scene.path("broker"), scene.path("publisher.key"), scene.plain
        init = ["broker", "init", "--dir", str(self.broker), "--tenant", "t", "--deployment", "d"]
        self.call(*init)
        self.publisher = json.loads(self.call("--json", "model", "publisher-key", str(self.key)))["publisher"]

    def call(self, *arguments):
        return subprocess.run([self.program, *arguments], check=True, capture_output=True).stdout

    def seal(self):
        keys = ["--to", f"{self.broker}/deposit.pub", "--publisher", str(self.key), "--name", "bench"]
        return run([self.program, "model", "seal", str(self.plain), str(self.out), *keys])

    def load(self):
        which = [str(self.out), "--publisher", self.publisher, "--broker", str(self.broker)]
        return run([self.program, "model", "verify", *which])


class OpenSsl:
    name = "openssl enc -aes-256-ctr, then HMAC-SHA-256"

    def __init__(self, scene):
        self.plain, self.out = scene.plain, scene.path("openssl.enc")
        self.key, self.iv = os.urandom(32).hex(), os.urandom(16).hex()
        self.mac = f"openssl dgst -sha256 -mac HMAC -macopt hexkey:{os.urandom(32).hex()} {self.out}"

    def enc(self, more):
        return f"openssl enc -aes-256-ctr -K {self.key} -iv {self.iv} {more}"

    def seal(self):
        return run(self.enc(f"-in {self.plain} -out {self.out}"), self.mac)

    def load(self):
        return run(self.mac, self.enc(f"-d -in {self.out} -out /dev/null"))


class Age:
    name = "age"

    def __init__(self, scene):
        self.plain, self.out, self.key = scene.plain, scene.path("age.enc"), scene.path("age.key")
        subprocess.run(["age-keygen", "-o", self.key], check=True, capture_output=True)
        self.to = subprocess.run(["age-keygen", "-y", self.key], check=True, capture_output=True, text=True).stdout.strip()

    def seal(self):
        return run(["age", "-r", self.to, "-o", str(self.out), str(self.plain)])

    def load(self):
        return run(f"age -d -i {self.key} {self.out} > /dev/null")


class GoCryptFs:
    name = "gocryptfs"

    def __init__(self, scene):
        self.plain, self.out, self.mount = scene.plain, scene.path("gocryptfs.enc"), scene.path("mount")
        self.out.mkdir(), self.mount.mkdir()
        self.password = scene.path("password")
        self.password.write_text("benchmark")
        subprocess.run(["gocryptfs", "-q", "-init", "-passfile", self.password, self.out], check=True, capture_output=True)

    def mounted(self, command):
        """The daemon does the work: its processor time counts too."""
        daemon = subprocess.Popen(["gocryptfs", "-q", "-fg", "-passfile", self.password, self.out, self.mount],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        while not os.path.ismount(self.mount):
            time.sleep(0.02)
        cost = run(command)
        subprocess.run(["fusermount", "-u", self.mount], check=True)
        _, _, usage = os.wait4(daemon.pid, 0)
        return Cost(cost.seconds, cost.processor + usage.ru_utime + usage.ru_stime, max(cost.memory, usage.ru_maxrss // 1024))

    def seal(self):
        return self.mounted(f"cp {self.plain} {self.mount}/model")

    def load(self):
        return self.mounted(f"cat {self.mount}/model > /dev/null")


CRYPTOTENSORS = """
import base64, sys, numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptotensors import safe_open
from cryptotensors.numpy import save_file
what, plain, out = sys.argv[1:]
text = lambda data: base64.b64encode(data).decode()
key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
config = {"enc_key": {"kty": "oct", "alg": "aes256gcm", "k": text(bytes(32)), "kid": "e"},
          "sign_key": {"kty": "okp", "alg": "ed25519", "crv": "Ed25519", "d": text(key.private_bytes_raw()),
                       "x": text(key.public_key().public_bytes_raw()), "kid": "s"}}
PIECE = 64 << 20
if what == "seal":
    data = np.fromfile(plain, dtype=np.uint8)
    save_file({f"t{at}": data[at : at + PIECE] for at in range(0, len(data), PIECE)}, out, config=config)
else:
    with safe_open(out, framework="np", config=config) as file:
        for name in file.offset_keys():
            file.get_tensor(name)
"""


class CryptoTensors:
    name = "cryptotensors 0.2.3 (Python)"

    def __init__(self, scene):
        self.plain, self.out, self.script = scene.plain, scene.path("ct.safetensors"), scene.path("ct.py")
        self.script.write_text(CRYPTOTENSORS)
        self.python = sys.executable

    def call(self, what):
        return run([self.python, str(self.script), what, str(self.plain), str(self.out)])

    def seal(self):
        return self.call("seal")

    def load(self):
        return self.call("load")


TENSORIZER = """
import os, sys, torch
from tensorizer import DecryptionParams, EncryptionParams, TensorDeserializer, TensorSerializer
what, plain, out = sys.argv[1:]
key, PIECE = bytes(range(32)), 64 << 20
if what == "seal":
    data = torch.from_file(plain, size=os.path.getsize(plain), dtype=torch.uint8)
    serializer = TensorSerializer(out, encryption=EncryptionParams(key=key))
    serializer.write_state_dict({f"t{at}": data[at : at + PIECE] for at in range(0, len(data), PIECE)})
    serializer.close()
elif what == "load":
    with TensorDeserializer(out, device="cpu", verify_hash=True, encryption=DecryptionParams.from_key(key)) as file:
        for name in file:
            file[name]
"""


class Tensorizer(CryptoTensors):
    name = "tensorizer (Python, PyTorch)"

    def __init__(self, scene):
        self.plain, self.out, self.script = scene.plain, scene.path("model.tensors"), scene.path("tz.py")
        self.script.write_text(TENSORIZER)
        self.python = os.environ.get("TENSORIZER_PYTHON", "python3")
        if subprocess.run([self.python, "-c", "import tensorizer"], capture_output=True).returncode != 0:
            raise OSError("it needs a Python with torch and tensorizer, which TENSORIZER_PYTHON can name")


class Plain:
    name = "cp, cat (no encryption)"

    def __init__(self, scene):
        self.plain, self.out = scene.plain, scene.path("copy")

    def seal(self):
        return run(["cp", str(self.plain), str(self.out)])

    def load(self):
        return run(f"cat {self.out} > /dev/null")


class Scene:
    def __init__(self, program, directory, size):
        self.program = Path(program).absolute()
        self.directory = Path(tempfile.mkdtemp(dir=directory, prefix="sealed-model-bench-"))
        self.plain = self.path("model.gguf")
        stream = "openssl enc -aes-128-ctr -nosalt -pass pass:bench -in /dev/zero 2>/dev/null"
        subprocess.run(f"{stream} | head -c {size} > {self.plain}", shell=True, check=False)
        assert self.plain.stat().st_size == size

    def path(self, name):
        return self.directory / name


def remove(path):
    if path.name == "gocryptfs.enc":
        for file in path.iterdir():
            if not file.name.startswith("gocryptfs."):
                file.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def median(costs):
    return sorted(costs, key=lambda cost: cost.seconds)[len(costs) // 2]


KINDS = {kind.__name__.lower(): kind for kind in (Plain, Strongroom, OpenSsl, Age, GoCryptFs, CryptoTensors, Tensorizer)}


def main(program, directory, gigabytes, *names):
    size = int(float(gigabytes) * 1e9)
    scene = Scene(program, directory, size)
    try:
        peers = []
        for kind in [KINDS[name] for name in names] or KINDS.values():
            try:
                peers.append(kind(scene))
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{kind.name} is left out: {error}", file=sys.stderr)
        costs = {peer.name: ([], []) for peer in peers}
        for _ in range(ROUNDS):
            for peer in peers:
                subprocess.run(["cat", scene.plain], stdout=subprocess.DEVNULL, check=True)
                begun = time.monotonic()
                cost = peer.seal()
                flush(peer.out)
                costs[peer.name][0].append(Cost(time.monotonic() - begun, cost.processor, cost.memory))
                costs[peer.name][1].append(peer.load())
                remove(peer.out)
        print(f"{size / 1e9:g} GB; seconds, seconds of processor, MiB at most")
        print("| | seal | | | load | | |\n|---|---|---|---|---|---|---|")
        for name, (seal, load) in costs.items():
            row = [cell for cost in (median(seal), median(load)) for cell in
                   (f"{cost.seconds:.2f}", f"{cost.processor:.2f}", str(cost.memory))]  # fmt: skip
            print(f"| {name} | {' | '.join(row)} |")
    finally:
        shutil.rmtree(scene.directory)


main(*sys.argv[1:])
