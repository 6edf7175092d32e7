#!/usr/bin/env python3
"""docs/meta_state_reader.py runs what `metascale export --format meta_state` writes, with the right logits:
those of the reference for the reference's models, which come in by `metascale import` and leave again, and
the program's own for models that it trained and grew.

    meta_state_reader.py PROGRAM GOLDEN_FOLDER        GOLDEN_FOLDER: tests/golden/model

Exit code 77: torch is not installed. The reference's models need h5py and numpy too.
"""
import json
import pathlib
import struct
import sys
import tempfile

import common

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))
try:
    import torch  # noqa: F401, which the reader needs
    from meta_state_reader import MetaState
except ImportError as error:
    common.skip(error)

SWEEP = """schema: 1
name: small
arms:
  plain: {{architecture: meta_state}}
  half: {{architecture: meta_state, rho: 0.5}}
match: {{on: non_embedding_parameters, tolerance: 5%}}
axes:
  size: [{{name: tiny, layers: 2, width: 32, head_size: 8, target: 30k}}]
  length: [4096 tokens]
  seed: [1]
training: {{batch_tokens: 256, context: 32, learning_rate: 4e-3, schedule: {{kind: constant}}}}
data: {{name: small, train: {0}/train, validation: {0}/validation, test: {0}/test, tokenizer: bytes}}
evaluation: {{final: 4 windows}}
"""


def write_safetensors(path, values):
    """values: name -> numpy array, written as F32."""
    header, data = {}, b""
    for name, value in values.items():
        begin, data = len(data), data + value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_reference(file, folder):
    """A model of the reference, as `metascale import` takes it."""
    golden = json.loads(file.attrs["config"])
    ranks = golden["ranks"]
    words = dict(model_type="meta_state", layout=1, layers=golden["L"], width=golden["D"], heads=golden["H"],
                 head_size=golden["N"], feed_forward=golden["P"], vocab_size=golden["V"], rank_decay=ranks["w"],
                 rank_rate=ranks["a"], rank_value=ranks["v"], rank_gate=ranks["g"], rho=golden["rho"],
                 read_out=golden["read_out"], read_state=golden["read_state"])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(words))
    write_safetensors(folder / "model.safetensors", {name: value[()] for name, value in file["params"].items()})


def exported(program, run, folder):
    common.call(program, "export", run, "--format", "meta_state", "-o", folder)
    return MetaState(str(folder))


def check_references(program, golden):
    try:
        import h5py
    except ImportError as error:
        print("the reference's models are left out:", error)
        return
    for name in ("metastate_tiny", "metastate_current_tiny", "metastate_timemix_tiny"):
        with h5py.File(golden / (name + ".h5")) as file, tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            write_reference(file, folder / "reference")
            common.call(program, "import", folder / "reference", "-o", folder / "run")
            model = exported(program, folder / "run", folder / "out")
            for position, token in enumerate(file["tokens"][0]):
                logits = model.read(int(token)).tolist()
                common.expect_equal(f"{name}, token {position}", logits, file["logits"][0][position].tolist(), 1e-10)


def train(program, folder):
    """Run folders by name: one that reads all heads, one that reads half of them, and one grown from that."""
    (folder / "text").mkdir()
    for part in ("train", "validation", "test"):
        texts = ({"text": common.PROMPT * 4 + f" {part} {i}"} for i in range(40))
        (folder / "text" / (part + ".jsonl")).write_text("".join(json.dumps(text) + "\n" for text in texts))
    common.call(program, "data", "prepare", folder / "text", "--out", folder / "tokens", "--no-overlap")
    (folder / "sweep.yaml").write_text(SWEEP.format(folder / "tokens"))
    common.call(program, "run", folder / "sweep.yaml", "--results", folder / "results", "--no-report")
    runs = {name: next((folder / "results/small/runs").glob(name + "-*")) for name in ("plain", "half")}
    runs["grown"] = folder / "grown"
    common.call(program, "grow", runs["half"], "--heads", "2x", "--parameter-tokens", "2x", "--steps", 8,
                "-o", runs["grown"])
    common.call(program, "train", runs["grown"])
    return runs


def check_trained(program):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, run in train(program, folder).items():
            model = exported(program, run, folder / ("out_" + name))
            config, reads = model.config, dict(plain=4, half=2, grown=4)[name]
            channels = config["heads"] * config["head_size"]
            if config["read_heads"] != reads or (channels != config["width"]) != (name == "grown"):
                sys.exit(f"{name}: is not the model that was wanted: {config}")
            for token in common.tokens_of():
                logits = model.read(token)
            common.expect_equal(f"trained, {name}", common.our_logits(program, run, folder), logits.tolist())


def main():
    program, golden = sys.argv[1:]
    check_references(program, pathlib.Path(golden))
    check_trained(program)


if __name__ == "__main__":
    main()
