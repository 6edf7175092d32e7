#!/usr/bin/env python3
"""Training steps of our Transformer beside PyTorch's, on this CPU or GPU: same shape, batch and threads.

usage: torch_gpt.py --program build/release/metascale [--threads 1] [--rounds 5] [--seconds 4]
                    [--micro-batch N] [--torch-micro-batch 16]
       torch_gpt.py --program metascale --cuda [--size 150M ...] [--rounds 3] [--seconds 10]

Each round measures one after the other (A B C A B C ...), so that a drifting machine meets all; the table shows
medians over the rounds with their spread. PyTorch runs eagerly and, from 2.0 on, by torch.compile; from 2.0 on its
attention is the fused one. Debian 12 has 1.13; PyPI's wheel in a virtual environment is as good: call this script
with its python. Each is run as its users would: ours in forwards of what `micro_batch: auto` takes, PyTorch's in one of
the whole batch; the options change either. With --cuda: the sizes, the batch and the shapes of `metascale bench gpu`,
in bf16 (autocast there). Without torch, or a GPU where one is asked for, the script says so and ends with exit code 69.
"""
import argparse
import math
import statistics
import sys
import time

import peer
from peer import spread

torch = peer.needed("torch", "Debian: python3-torch; PyPI: torch")
F, nn = torch.nn.functional, torch.nn

NEW = int(torch.__version__.split(".")[0]) >= 2
SHAPES = {"1M": dict(layers=4, width=128, heads=4, feed_forward=512),
          "10M": dict(layers=6, width=384, heads=6, feed_forward=1536)}
SIZES = ["150M", "450M", "900M", "1.5B"]  # on a GPU; metascale tells the shapes


class Block(nn.Module):
    """Parallel residual, LayerNorm with bias, GELU (tanh): the form of `transformer`."""

    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)

    def forward(self, x, mask, cos, sin):
        B, T, D = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(B, T, self.heads, 3, D // self.heads)
        q, k, v = (qkv[..., i, :].transpose(1, 2) for i in range(3))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = self.out(attend(q, k, v, mask).transpose(1, 2).reshape(B, T, D))
        return x + attended + self.down(F.gelu(self.up(self.norm_mlp(x)), approximate="tanh"))


def attend(q, k, v, mask):
    if NEW:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])
    return F.softmax(scores.masked_fill(mask, float("-inf")), -1) @ v


def rotate(x, cos, sin):
    n = 2 * cos.shape[-1]
    a, b = x[..., :n // 2], x[..., n // 2:n]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, x[..., n:]], -1)


class Gpt(nn.Module):
    def __init__(self, layers, width, heads, feed_forward, vocabulary, context):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, feed_forward) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        half = width // heads // 8
        angle = torch.arange(context)[:, None] * 10000.0 ** (-torch.arange(half)[None] / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.register_buffer("mask", torch.ones(context, context, dtype=torch.bool).triu(1))

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.mask, self.cos, self.sin)
        logits = self.head(self.norm(x)).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class TorchTraining:
    def __init__(self, shape, rows, bf16, compiled, device="cpu", parts=1):
        torch.manual_seed(1)
        model = Gpt(**shape).to(device)
        self.parameters = sum(p.numel() for p in model.parameters())
        which = {"fused": True} if device == "cuda" else {"foreach": True}
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **which)
        self.model, self.bf16, self.device = torch.compile(model) if compiled else model, bf16, device
        self.parts = [[torch.randint(0, shape["vocabulary"], (rows // parts, shape["context"]), device=device)
                       for _ in range(2)] for _ in range(parts)]
        self.step_tokens = rows * shape["context"]

    def step(self):
        for tokens, targets in self.parts:
            with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16):
                loss = self.model(tokens, targets) / len(self.parts)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def tokens_per_second(self, seconds):
        self.step()
        times, begin = [], time.perf_counter()
        while time.perf_counter() - begin < seconds or len(times) < 3:
            start = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - start)
        return self.step_tokens / statistics.median(times)


def ours(program, place, size, *more):
    return peer.bench_step(program, place, size, "transformer", *more)


def measure_on_gpu(options):
    peer.need_gpu()
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}, bf16, tokens/s")
    print("| size | parameters | batch | metascale | torch, compiled | ratio |\n|---|---|---|---|---|---|")
    for size in options.size or SIZES:
        mine, theirs = [], []
        for _ in range(options.rounds):
            row = ours(options.program, "gpu", size)
            if "not_measured" in row:
                print(f"| {size} | {row['parameters']} | {row['batch']} x {row['context']} | not measured: "
                      f"{row['not_measured']} | - | - |", flush=True)
                break
            shape = {name: row[name] for name in ("layers", "width", "heads", "feed_forward", "vocabulary", "context")}
            other = TorchTraining(shape, row["batch"], True, True, "cuda")
            if other.parameters != row["parameters"]:
                sys.exit(f"{size}: PyTorch's model has {other.parameters} parameters, ours {row['parameters']}")
            mine.append(row["tokens_per_second"])
            theirs.append(other.tokens_per_second(options.seconds))
            del other
            torch.cuda.empty_cache()  # what is kept would be missing from our memory in the next round
        else:
            ratio = spread([a / b for a, b in zip(mine, theirs)], ".2f")
            print(f"| {size} | {row['parameters']} | {row['batch']} x {row['context']} | {spread(mine)} | "
                  f"{spread(theirs)} | {ratio} |", flush=True)


def main():
    rows = 16
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--micro-batch", type=int, help="ours: windows of a forward")
    parser.add_argument("--torch-micro-batch", type=int, default=rows, choices=[1, 2, 4, 8, 16], help="PyTorch's")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--size", action="append", choices=SIZES, help="on a GPU, of these only")
    options = parser.parse_args()
    if options.cuda:
        return measure_on_gpu(options)
    torch.set_num_threads(options.threads)
    kinds, text = ["eager", "compiled"] if NEW else ["eager"], dict(vocabulary=260, context=256)
    print(f"torch {torch.__version__}, {options.threads} thread(s), {rows} x {text['context']} tokens a step, tokens/s")
    print("| size | type | metascale |" + "".join(f" torch, {kind} | ratio |" for kind in kinds))
    print("|---|---|---|" + "---|---|" * len(kinds))
    for size, shape in SHAPES.items():
        for precision in ("f32", "bf16"):
            peers = [TorchTraining({**shape, **text}, rows, precision == "bf16", kind == "compiled",
                                   parts=rows // options.torch_micro_batch) for kind in kinds]
            mode = ["--precision", precision, "--threads", str(options.threads), "--steps", "5"]
            mode += ["--micro-batch", str(options.micro_batch)] if options.micro_batch else []
            rounds = [[ours(options.program, "cpu", size, *mode)["tokens_per_second"]] +
                      [other.tokens_per_second(options.seconds) for other in peers] for _ in range(options.rounds)]
            mine, *theirs = zip(*rounds)
            cells = [f"{spread(times)} | {spread([a / b for a, b in zip(mine, times)], '.2f')}" for times in theirs]
            print(f"| {size} | {precision} | {spread(mine)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
