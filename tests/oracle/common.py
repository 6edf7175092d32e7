"""What the oracle scripts share: calling the program, and comparing logits."""
import argparse
import json
import pathlib
import struct
import subprocess
import sys

END_OF_DOCUMENT = 256  # of the byte tokenizer; a prompt begins behind it
PROMPT = "The state is read twice; the second time as weights."
TOLERANCE = 1e-4  # of the largest logit, in f32


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def arguments():
    """PROGRAM [--write FOLDER]"""
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--write", type=pathlib.Path, help="keeps the small models and their logits in this folder")
    return options.parse_args()


def tokens_of(prompt=PROMPT):
    return [END_OF_DOCUMENT, *prompt.encode()]


def call(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def logits_of_state(path):
    """The logits in a file of `generate --save-state`: F64, so that nothing but json is needed."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8:8 + length])["logits"]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return list(struct.unpack(f"<{(end - begin) // 8}d", data[begin:end]))


def our_logits(program, run, folder):
    """Of the token behind the prompt."""
    state = pathlib.Path(folder) / "state"
    call(program, "generate", run, "--prompt", PROMPT, "--tokens", 0, "--save-state", state)
    return logits_of_state(state)


def expect_equal(what, ours, theirs, tolerance=TOLERANCE):
    if len(ours) != len(theirs):
        sys.exit(f"{what}: {len(ours)} logits, but {len(theirs)} are wanted")
    scale = max(abs(x) for x in theirs)
    error = max(abs(a - b) for a, b in zip(ours, theirs)) / scale
    print(f"{what}: largest difference {error:.2e} of the largest logit")
    if not error < tolerance:
        sys.exit(f"{what}: more than {tolerance}")


def write_golden(folder, tokens, logits):
    """logits: a row for each token, of which a few are kept."""
    kept = [0, 1, 13, 26, 39, len(tokens) - 1]
    rows = [[round(x, 7) for x in logits[position]] for position in kept]
    text = json.dumps({"tokens": tokens, "positions": kept, "logits": rows})
    (pathlib.Path(folder) / "logits.json").write_text(text + "\n")


def write_hugging_face(folder, model, tokens, logits):
    """The model in half the size, and its logits."""
    folder.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_golden(folder, tokens, logits)


def hugging_face_logits(model, tokens):
    """A row for each token."""
    import torch
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].double().tolist()


def load_hugging_face(loader, folder):
    """In f32; every tensor of the folder has its place, and no other is asked for."""
    model, info = loader.from_pretrained(folder, output_loading_info=True)
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        sys.exit(f"{folder}: {info}")
    return model.eval().float()
