#!/usr/bin/env python3
"""Models made by Hugging Face transformers have the same logits here, and ours have them there.

    hugging_face.py PROGRAM [--write FOLDER]

--write: keeps the small models and their logits, so that the comparison runs where transformers is not.
Exit code 77: transformers, torch or safetensors is not installed.
"""
import pathlib
import tempfile

import common

try:
    import torch
    import transformers
except ImportError as error:
    common.skip(error)

SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=80,
             vocab_size=264, max_position_embeddings=128)


def models():
    neox = transformers.GPTNeoXConfig
    llama = transformers.LlamaConfig
    yield "gpt_neox", neox(**SMALL, rotary_pct=0.5, use_parallel_residual=True, hidden_act="gelu")
    yield "gpt_neox_sequential", neox(**SMALL, rotary_pct=0.25, use_parallel_residual=False,
                                      hidden_act="gelu_new")
    yield "llama", llama(**SMALL, rms_norm_eps=1e-5, num_key_value_heads=2)
    yield "llama_shared_heads", llama(**{**SMALL, "num_attention_heads": 4}, rms_norm_eps=1e-5,
                                      num_key_value_heads=2)


def make(config, folder):
    """Random weights, large enough that every part of the model matters."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn_like(value)
            value.copy_(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.2 * noise)
            value.copy_(value.bfloat16())  # so that files may be kept in half the size
    model.save_pretrained(folder)
    return model


def main():
    options = common.arguments()
    tokens = common.tokens_of()
    for name, config in models():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model = make(config, folder / "theirs")
            wanted = common.hugging_face_logits(model, tokens)
            common.call(options.program, "import", folder / "theirs", "-o", folder / "run")
            common.expect_equal(f"{name}, imported", common.our_logits(options.program, folder / "run", folder),
                                wanted[-1])
            common.call(options.program, "export", folder / "run", "-o", folder / "ours")
            back = common.load_hugging_face(transformers.AutoModelForCausalLM, folder / "ours")
            common.expect_equal(f"{name}, exported", common.hugging_face_logits(back, tokens)[-1], wanted[-1])
            if options.write:
                common.write_hugging_face(options.write / name, model, tokens, wanted)


if __name__ == "__main__":
    main()
