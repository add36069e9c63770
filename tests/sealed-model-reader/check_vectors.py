"""Every vector of sealed models (docs/specs/sealed-model.md, "Vectors") through the second reader.

    check_vectors.py VECTORS     tests/vectors/sealed-model; prints a line a vector, and fails if one is wrong
"""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from sealed_model import Refused, Sealed

STEPS = ("manifest", "keys", "unlock", "read")


def edit(model: Path, folder: Path, edits):
    for one in edits:
        ((what, given),) = one.items()
        if what == "swap":
            first, second = model / given["first"], model / given["second"]
            a, b, length = first.read_bytes(), second.read_bytes(), given["len"]
            first.write_bytes(b[:length] + a[length:])
            second.write_bytes(a[:length] + b[length:])
            continue
        path = model / given["file"]
        if what == "remove":
            path.unlink()
        elif what == "replace":
            shutil.copyfile(folder / given["file"], path)
        elif what == "append":
            path.write_bytes(path.read_bytes() + bytes.fromhex(given["hex"]))
        elif what == "cut":
            path.write_bytes(path.read_bytes()[: -given["bytes"]])
        elif what == "flip":
            data = bytearray(path.read_bytes())
            data[given["at"]] ^= 1
            path.write_bytes(data)
        else:
            raise ValueError(f"no such edit: {what}")


def answer(model: Path, wrong, known):
    """The step that refused and its code; or the last step, and "accepted"."""
    step = "manifest"
    try:
        publisher = known["other_publisher" if wrong == "publisher" else "publisher"]
        sealed = Sealed(model, bytes.fromhex(publisher))
        step = "keys"
        secret = known["other_deposit_secret" if wrong == "deposit" else "deposit_secret"]
        keys = sealed.unwrap(bytes.fromhex(secret))
        step = "unlock"
        if wrong == "artifact":
            keys = [bytes(32) for _ in keys]
        files = sealed.unlock(keys)
        step = "read"
        space = sealed.read(keys)
    except Refused as refused:
        return step, refused.code
    contents = {file.path: space[file.offset : file.offset + file.length] for file in files}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    same = digests == known["files"] and all(file.sha256.hex() == digests[file.path] for file in files)
    # keys.json has the keys of one model.
    is_known = sealed.model_id.hex() == known["model_id"]
    keys_hold = not is_known or [key.hex() for key in keys] == known["artifact_keys"]
    return step, "accepted" if same and keys_hold else "other content"


def main(vectors: Path):
    known = json.loads((vectors / "keys.json").read_text())
    wrong = 0
    folders = sorted(path.parent for path in vectors.glob("*/vector.json"))
    for folder in folders:
        vector = json.loads((folder / "vector.json").read_text())
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch, "model")
            shutil.copytree(vectors / vector.get("base", "000-sound"), model)
            edit(model, folder, vector["edits"])
            found = answer(model, vector["wrong"], known)
        right = found == (vector["step"], vector["expect"])
        wrong += not right
        print(f"{'ok' if right else 'WRONG'}: {folder.name}: {found[1]} at {found[0]}")
    print(f"{len(folders)} vectors, {wrong} wrong")
    return bool(wrong) or not folders


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
