#!/usr/bin/env python3
"""The WKV7 operator beside flash-linear-attention's (fla), forward and with its backward, in turn.

usage: fla_wkv7.py [--program build/release/bench/bench_wkv7] [--tokens 512] [--heads 4] [--rounds 3]
       fla_wkv7.py --cuda [--program metascale] [--rounds 3]

On the CPU: fla's PyTorch forms of the recurrence, token by token and in chunks, which it has for tests (its kernels
need a GPU), in f32 with one thread and autograd's backward. With --cuda: chunk_rwkv7 in bf16 at the sizes of
`metascale bench gpu`. Without --program fla's alone are timed. Microseconds per head and token.
Before anything is timed, the forms must agree. Without fla, or a GPU where one is asked for, the script says so and
ends with exit code 69.
"""
import argparse
import json
import re
import statistics
import subprocess
import sys
import time


def not_measured(why):
    print(f"not measured: {why}", file=sys.stderr)
    sys.exit(69)


try:
    import torch
    from fla.ops.generalized_delta_rule.dplr.naive import dplr_chunkwise, dplr_recurrence
except ImportError as error:
    not_measured(f"{error.name} is not installed (PyPI: torch, flash-linear-attention)")

SIZE = 64  # channels of a head
DECAY_RATE = 0.6065306597126334  # e^{-1/2}


def operands(batch, tokens, heads, device, dtype):
    """r, log w, k, v, a, b of (batch, tokens, heads, SIZE); a and b as a removal key and its rate give them."""
    generator = torch.Generator(device).manual_seed(1)

    def random(): return torch.randn(batch, tokens, heads, SIZE, generator=generator, device=device)
    key = torch.nn.functional.normalize(random(), dim=-1)
    log_w = -DECAY_RATE * torch.sigmoid(random())
    all_of_them = random(), log_w, 0.1 * random(), random(), -key, key * torch.sigmoid(random())
    return [x.to(dtype).requires_grad_() for x in all_of_them]


def by_heads(form):
    """fla's PyTorch forms take (batch, heads, tokens, SIZE), scale r, and name the operands otherwise."""
    def read(r, log_w, k, v, a, b):
        r, log_w, k, v, a, b = (x.transpose(1, 2) for x in (r, log_w, k, v, a, b))
        return form(r * SIZE ** 0.5, k, v, a, b, log_w)[0].transpose(1, 2)
    return read


def seconds_of(form, given, backward, wait):
    """The median of runs over about a second."""
    times, begin = [], time.perf_counter()
    upstream = torch.ones_like(given[3])
    while time.perf_counter() - begin < 1 or len(times) < 3:
        for x in given:
            x.grad = None
        wait()
        start = time.perf_counter()
        y = form(*given)
        if backward:
            y.backward(upstream)
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ours_on_cpu(program, tokens, heads):
    out = subprocess.run([program, str(SIZE), str(tokens), str(heads)], check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^(.+?) +([\d.]+) \(best", out, re.M))
    return float(found["forward"]), float(found["forward + backward"])


def ours_on_gpu(program, head_tokens):
    out = subprocess.run([program, "bench", "gpu", "--json", "--only", "operators", "--family", "wkv7"],
                         check=True, capture_output=True, text=True).stdout
    found = {row["operator"]: 1e6 * row["seconds"] / head_tokens for row in json.loads(out)["operators"]}
    return found["wkv7 forward"], found["wkv7 forward"] + found["wkv7 backward"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--program")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.cuda and not torch.cuda.is_available():
        not_measured("PyTorch finds no GPU")
    torch.set_num_threads(1)
    forms = {"fla, PyTorch by token": by_heads(dplr_recurrence), "fla, PyTorch in chunks": by_heads(dplr_chunkwise)}
    reference = operands(2, 64, 2, "cpu", torch.float32)
    expected, close = forms["fla, PyTorch by token"](*reference), forms["fla, PyTorch in chunks"](*reference)
    if not torch.allclose(expected, close, rtol=1e-3, atol=1e-4):
        sys.exit("fla's two PyTorch forms differ: its interface has changed, mend this script")
    if options.cuda:
        from fla.ops.rwkv7 import chunk_rwkv7
        forms = {"fla, chunk_rwkv7": lambda r, log_w, k, v, a, b: chunk_rwkv7(r, log_w, k, v, a, b)[0]}
        on_gpu = forms["fla, chunk_rwkv7"](*(x.detach().cuda() for x in reference)).cpu()
        if not torch.allclose(expected, on_gpu, rtol=2e-2, atol=2e-2):
            sys.exit("chunk_rwkv7 differs from fla's PyTorch form: its interface has changed, mend this script")
        batch, tokens, heads = 16, 2048, 12  # of bench gpu
        given, wait = operands(batch, tokens, heads, "cuda", torch.bfloat16), torch.cuda.synchronize
    else:
        batch, tokens, heads = 1, options.tokens, options.heads
        given, wait = operands(batch, tokens, heads, "cpu", torch.float32), lambda: None
    head_tokens = batch * tokens * heads
    rows = {}
    for _ in range(options.rounds):
        if options.program:
            mine = (ours_on_gpu(options.program, head_tokens) if options.cuda
                    else ours_on_cpu(options.program, tokens, heads))
            rows.setdefault("metascale", []).append(mine)
        for name, form in forms.items():
            times = [1e6 * seconds_of(form, given, backward, wait) / head_tokens for backward in (False, True)]
            rows.setdefault(name, []).append(times)
    device = torch.cuda.get_device_name() if options.cuda else "CPU, one thread"
    print(f"torch {torch.__version__}, {device}, {batch} x {tokens} tokens, {heads} heads of {SIZE}: "
          "microseconds per head and token, medians [least, most]")
    print("| form | forward | forward + backward |\n|---|---|---|")
    for name, times in rows.items():
        cells = [f"{statistics.median(x):.3g} [{min(x):.3g}, {max(x):.3g}]" for x in zip(*times)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
