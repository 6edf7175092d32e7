#!/usr/bin/env python3
"""An RWKV-7 model runs with the same logits here and in flash-linear-attention, in its Hugging Face layout.

    fla_package.py PROGRAM [--write FOLDER]

Its kernels run on the CPU, by Triton's interpreter; the prompt has fewer than 64 tokens and goes through the
recurrent one (the interpreter of Triton 3.9 does not run the chunked one).
Exit code 77: flash-linear-attention, torch, triton or transformers is not installed.
"""
import os
import pathlib
import tempfile
import warnings

import common

os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
warnings.filterwarnings("ignore")
try:
    import torch
    from triton.runtime.autotuner import Autotuner
    # The tuner times tilings on a GPU; all compute the same, and the first is taken.
    Autotuner._bench = lambda *words, **more: [0.0, 0.0, 0.0]
    from fla.models import RWKV7Config, RWKV7ForCausalLM
except ImportError as error:
    common.skip(error)

# Two heads of 32: the head norm's epsilon, 32e-5, is not RWKV-LM's.
SMALL = dict(hidden_size=64, num_hidden_layers=3, head_dim=32, intermediate_size=96, vocab_size=264,
             max_position_embeddings=128, decay_low_rank_dim=16, a_low_rank_dim=8, v_low_rank_dim=8,
             gate_low_rank_dim=16)
MEANS = dict(k_k=0.8, k_a=1.0, w_lora=-2.0, v_lora=0.5)


def spread_of(name, value):
    """Mean and deviation: large enough that every part of the model matters."""
    if "norm" in name and name.endswith("weight"):
        return 1, 0.2
    if ".x_" in name:
        return 0.5, 0.2
    if name == "model.embeddings.weight":
        return 0, 1
    if value.dim() == 1:
        return sum(mean for key, mean in MEANS.items() if key in name), 0.2
    return 0, 0.1 if min(value.shape) >= SMALL["hidden_size"] else 0.2


def make(folder):
    torch.manual_seed(1)
    model = RWKV7ForCausalLM(RWKV7Config(**SMALL)).eval().float()
    with torch.no_grad():
        for name, value in model.named_parameters():
            mean, deviation = spread_of(name, value)
            noise = mean + deviation * torch.randn_like(value)
            value.copy_(noise.bfloat16())  # so that files may be kept in half the size
    model.save_pretrained(folder)
    return model


def main():
    options = common.arguments()
    tokens = common.tokens_of()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = make(folder / "theirs")
        wanted = common.hugging_face_logits(model, tokens)
        common.call(options.program, "import", folder / "theirs", "-o", folder / "run")
        common.expect_equal("fla, imported", common.our_logits(options.program, folder / "run", folder), wanted[-1])
        common.call(options.program, "export", folder / "run", "--format", "fla", "-o", folder / "ours")
        back = common.load_hugging_face(RWKV7ForCausalLM, folder / "ours")
        common.expect_equal("fla, exported", common.hugging_face_logits(back, tokens)[-1], wanted[-1])
        if options.write:
            common.write_hugging_face(options.write / "fla", model, tokens, wanted)


if __name__ == "__main__":
    main()
