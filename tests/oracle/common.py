"""What the oracle scripts share: calling the program, and comparing logits."""
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


def expect_equal(what, ours, theirs):
    if len(ours) != len(theirs):
        sys.exit(f"{what}: {len(ours)} logits, but {len(theirs)} are wanted")
    scale = max(abs(x) for x in theirs)
    error = max(abs(a - b) for a, b in zip(ours, theirs)) / scale
    print(f"{what}: largest difference {error:.2e} of the largest logit")
    if not error < TOLERANCE:
        sys.exit(f"{what}: more than {TOLERANCE}")


def write_golden(folder, tokens, logits):
    """logits: a row for each token, of which a few are kept."""
    kept = [0, 1, 13, 26, 39, len(tokens) - 1]
    rows = [[round(x, 7) for x in logits[position]] for position in kept]
    text = json.dumps({"tokens": tokens, "positions": kept, "logits": rows})
    (pathlib.Path(folder) / "logits.json").write_text(text + "\n")
