#!/usr/bin/env python3
"""An RWKV-7 model runs with the same logits here and in the `rwkv` package of its authors.

    rwkv_package.py PROGRAM [--write FOLDER]

Exit code 77: rwkv, torch or safetensors is not installed.
"""
import os
import pathlib
import tempfile

import common

os.environ["RWKV_V7_ON"] = "1"
os.environ["RWKV_JIT_ON"] = "0"
os.environ["RWKV_CUDA_ON"] = "0"
try:
    import torch
    from rwkv.model import RWKV
    from safetensors.torch import load_file, save_file
except ImportError as error:
    common.skip(error)

LAYERS, WIDTH, HEAD, FEED_FORWARD, VOCABULARY = 2, 128, 64, 160, 264
RANKS = dict(w=16, a=16, v=8, g=16)


def weights():
    """RWKV-LM's names and shapes; random, so that every part of the model matters."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape, mean=0.0, deviation=0.2):
        values = mean + deviation * torch.randn(*shape, generator=generator)
        return values.bfloat16().float()  # so that files may be kept in half the size

    made = {"emb.weight": normal(VOCABULARY, WIDTH, deviation=1), "head.weight": normal(VOCABULARY, WIDTH)}

    def norm(name):
        made[name + ".weight"] = normal(WIDTH, mean=1)
        made[name + ".bias"] = normal(WIDTH)

    norm("ln_out")
    for layer in range(LAYERS):
        block = f"blocks.{layer}."
        for name in ("ln0",) * (layer == 0) + ("ln1", "ln2", "att.ln_x"):
            norm(block + name)
        for letter in "rwkvag":
            made[f"{block}att.x_{letter}"] = normal(1, 1, WIDTH, mean=0.5)
        for name, mean in (("w0", -2.0), ("a0", 0.0), ("v0", 0.5), ("k_k", 0.8), ("k_a", 1.0)):
            made[block + "att." + name] = normal(1, 1, WIDTH, mean=mean)
        for letter, rank in RANKS.items():
            made[f"{block}att.{letter}1"] = normal(WIDTH, rank)
            made[f"{block}att.{letter}2"] = normal(rank, WIDTH)
        made[block + "att.r_k"] = normal(WIDTH // HEAD, HEAD)
        for name in ("receptance", "key", "value", "output"):
            made[f"{block}att.{name}.weight"] = normal(WIDTH, WIDTH, deviation=0.1)
        made[block + "ffn.x_k"] = normal(1, 1, WIDTH, mean=0.5)
        made[block + "ffn.key.weight"] = normal(FEED_FORWARD, WIDTH, deviation=0.1)
        made[block + "ffn.value.weight"] = normal(WIDTH, FEED_FORWARD, deviation=0.1)
    return made


def their_logits(tensors, folder, tokens):
    path = pathlib.Path(folder) / "model"
    torch.save({name: value.clone() for name, value in tensors.items()}, str(path) + ".pth")
    model = RWKV(model=str(path), strategy="cpu fp32")
    rows, state = [], None
    for token in tokens:
        row, state = model.forward([token], state)
        rows.append(row.double().tolist())
    return rows


def main():
    options = common.arguments()
    tokens = common.tokens_of()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        made = weights()
        wanted = their_logits(made, folder, tokens)
        save_file(made, folder / "rwkv7.safetensors")
        common.call(options.program, "import", folder / "rwkv7.safetensors", "-o", folder / "run")
        common.expect_equal("rwkv7, imported", common.our_logits(options.program, folder / "run", folder), wanted[-1])
        common.call(options.program, "export", folder / "run", "--format", "rwkv", "-o", folder / "ours")
        exported = load_file(folder / "ours" / "model.safetensors")
        # The package asks for these, which no layer reads.
        for name in ("v0", "v1", "v2"):
            exported["blocks.0.att." + name] = made["blocks.0.att." + name]
        common.expect_equal("rwkv7, exported", their_logits(exported, folder, tokens)[-1], wanted[-1])
        if options.write:
            kept = options.write / "rwkv7"
            kept.mkdir(parents=True, exist_ok=True)
            save_file({name: value.bfloat16() for name, value in made.items()}, kept / "model.safetensors")
            common.write_golden(kept, tokens, wanted)


if __name__ == "__main__":
    main()
