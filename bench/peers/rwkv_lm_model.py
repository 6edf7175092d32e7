#!/usr/bin/env python3
"""Training steps of our RWKV-7 beside RWKV-LM's model class on a GPU, in turn, in bf16.

usage: rwkv_lm_model.py --program metascale [--source FOLDER] [--extensions FOLDER] [--size 150M] [--rounds 3]

--source is RWKV-LM's RWKV-v7/train_temp (build/peers/train_temp); --extensions the folder in which its own
training has left its built kernels, NAME/NAME.so each (build/peers/extensions): this script builds none. The
model is its own, with its newest WKV kernel; the loop is ours: one batch of the sizes of `metascale bench gpu`,
backward, gradients clipped to 1, PyTorch's fused AdamW on f32 weights, copied to the bf16 ones. DeepSpeed, with which
RWKV-LM trains, does the same on one GPU. Depth, width and vocabulary are ours; its feed-forward is 4 x width and its
low ranks its own, so the table says both counts of parameters. Its kernels run as it calls them, under TorchScript.
Without torch, pytorch-lightning 1.9.5, DeepSpeed, a GPU, the source or a built kernel the script says so and ends with
exit code 69.
"""
import argparse
import importlib.util
import os
import pathlib
import sys
import time
import types

import peer
from peer import spread

WHERE = "PyPI: torch, pytorch-lightning==1.9.5, deepspeed"
torch = peer.needed("torch", WHERE)


def model_module(source, extensions):
    """RWKV-LM's src/model.py, whose kernels are opened where it would build them."""
    for module in ("pytorch_lightning", "deepspeed", "torch.utils.cpp_extension"):
        peer.needed(module, WHERE)

    def opened(name, is_python_module=True, **_):
        path = pathlib.Path(extensions) / name / f"{name}.so"
        peer.need_file(path, "a kernel of RWKV-LM")
        if not is_python_module:
            return torch.ops.load_library(str(path))
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    torch.utils.cpp_extension.load = opened
    os.environ.update(RWKV_JIT_ON="1", RWKV_HEAD_SIZE="64", RWKV_MY_TESTING="x070", RWKV_KERNEL="@rwkv3",
                      RWKV_FLOAT_MODE="bf16", RWKV_HEAD_L2WRAP_CE_CHUNK="0")
    spec = importlib.util.spec_from_file_location("rwkv_lm_model_source", pathlib.Path(source) / "src" / "model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # TorchScript looks there
    spec.loader.exec_module(module)
    return module


class Training:
    def __init__(self, module, row):
        torch.manual_seed(1)
        width = row["width"]
        args = types.SimpleNamespace(n_layer=row["layers"], n_embd=width, dim_att=width, dim_ffn=4 * width,
                                     vocab_size=row["vocabulary"], ctx_len=row["context"], head_size=64,
                                     my_testing="x070", grad_cp=0)
        self.model = module.RWKV(args).bfloat16().cuda()
        self.weights = [p for p in self.model.parameters() if p.requires_grad]
        self.parameters = sum(p.numel() for p in self.weights)
        self.masters = [p.detach().float() for p in self.weights]
        self.optimizer = torch.optim.AdamW(self.masters, lr=1e-4, fused=True)
        shape = row["batch"], row["context"]
        self.batch = [torch.randint(0, row["vocabulary"], shape, device="cuda") for _ in range(2)]

    def step(self):
        loss = self.model.training_step(self.batch, 0)
        loss.backward()
        for master, weight in zip(self.masters, self.weights):
            # Some weights go unused: the first layer has no value residual.
            master.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.masters)
        return loss.item()

    def tokens_per_second(self, seconds):
        for _ in range(3):
            loss = self.step()
        if not loss == loss:
            sys.exit("RWKV-LM's loss is not a number: its interface has changed, mend this script")
        times, begin = [], time.perf_counter()
        while time.perf_counter() - begin < seconds or len(times) < 3:
            start = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - start)
        return self.batch[0].numel() / sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="metascale")
    parser.add_argument("--source", default=peer.LOCAL / "train_temp")
    parser.add_argument("--extensions", default=peer.LOCAL / "extensions")
    parser.add_argument("--size", default="150M", choices=["150M", "450M", "900M", "1.5B"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    peer.need_gpu()
    peer.need_file(pathlib.Path(options.source) / "src" / "model.py", "RWKV-LM's model")
    module, mine, theirs = model_module(options.source, options.extensions), [], []
    for _ in range(options.rounds):
        row = peer.bench_step(options.program, "gpu", options.size, "rwkv7")
        if "not_measured" in row:
            peer.not_measured(f"our RWKV-7: {row['not_measured']}")
        other = Training(module, row)
        theirs.append(other.tokens_per_second(options.seconds))
        mine.append(row["tokens_per_second"])
        parameters = other.parameters
        del other
        torch.cuda.empty_cache()  # what is kept would be missing from our memory in the next round
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}, bf16, {row['layers']} x {row['width']}, "
          f"{row['batch']} x {row['context']} tokens a step, medians [least, most]")
    print("| | parameters | feed-forward | tokens/s |\n|---|---|---|---|")
    print(f"| metascale | {row['parameters']} | {row['feed_forward']} | {spread(mine)} |")
    print(f"| RWKV-LM | {parameters} | {4 * row['width']} | {spread(theirs)} |")
    print(f"ours over RWKV-LM's, tokens/s: {spread([a / b for a, b in zip(mine, theirs)], '.2f')}")


if __name__ == "__main__":
    main()
