#!/usr/bin/env python3
"""Training steps of our Transformer beside PyTorch's, on this CPU: same shape, batch and threads.

usage: torch_gpt.py --program build/release/metascale [--threads 1] [--rounds 5] [--seconds 4]

Each round measures one after the other (A B C A B C ...), so that a drifting machine meets all; the table shows
medians over the rounds with their spread. PyTorch runs eagerly and, from 2.0 on, by torch.compile; from 2.0 on its
attention is the fused one. Debian 12 has 1.13; PyPI's wheel in a virtual environment is as good: call this script
with its python. Without torch the script says so and ends with exit code 69.
"""
import argparse
import json
import math
import statistics
import subprocess
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    print("not measured: torch is not installed (Debian: python3-torch)", file=sys.stderr)
    sys.exit(69)

CONTEXT, ROWS, VOCABULARY = 256, 16, 260
NEW = int(torch.__version__.split(".")[0]) >= 2
SHAPES = {"1M": dict(layers=4, width=128, heads=4, feed_forward=512),
          "10M": dict(layers=6, width=384, heads=6, feed_forward=1536)}


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
    def __init__(self, layers, width, heads, feed_forward):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.blocks = nn.ModuleList(Block(width, heads, feed_forward) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)
        half = width // heads // 8
        angle = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(half)[None] / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.register_buffer("mask", torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1))

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.mask, self.cos, self.sin)
        logits = self.head(self.norm(x)).float()
        return F.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1))


class TorchTraining:
    def __init__(self, shape, bf16, compiled):
        torch.manual_seed(1)
        model = Gpt(**shape)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=True)
        self.model, self.bf16 = torch.compile(model) if compiled else model, bf16
        self.tokens = torch.randint(0, VOCABULARY, (ROWS, CONTEXT))
        self.targets = torch.randint(0, VOCABULARY, (ROWS, CONTEXT))

    def step(self):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            loss = self.model(self.tokens, self.targets)
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
        return ROWS * CONTEXT / statistics.median(times)


def ours(program, size, precision, threads, steps):
    out = subprocess.run([program, "bench", "cpu", "--json", "--size", size, "--architecture", "transformer",
                          "--precision", precision, "--threads", str(threads), "--steps", str(steps)],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["steps"][0]["tokens_per_second"]


def spread(values, form=".0f"):
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kinds = ["eager", "compiled"] if NEW else ["eager"]
    print(f"torch {torch.__version__}, {options.threads} thread(s), {ROWS} x {CONTEXT} tokens a step, tokens/s")
    print("| size | type | metascale |" + "".join(f" torch, {kind} | ratio |" for kind in kinds))
    print("|---|---|---|" + "---|---|" * len(kinds))
    for size, shape in SHAPES.items():
        for precision in ("f32", "bf16"):
            peers = [TorchTraining(shape, precision == "bf16", kind == "compiled") for kind in kinds]
            rounds = [[ours(options.program, size, precision, options.threads, 5)] +
                      [peer.tokens_per_second(options.seconds) for peer in peers] for _ in range(options.rounds)]
            mine, *theirs = zip(*rounds)
            cells = [f"{spread(times)} | {spread([a / b for a, b in zip(mine, times)], '.2f')}" for times in theirs]
            print(f"| {size} | {precision} | {spread(mine)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
