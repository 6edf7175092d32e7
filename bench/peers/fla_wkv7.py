#!/usr/bin/env python3
"""The WKV7 operator beside flash-linear-attention's (fla), forward and with its backward, in turn.

usage: fla_wkv7.py [--program build/release/bench/bench_wkv7] [--tokens 512] [--heads 4] [--rounds 3]
       fla_wkv7.py --cuda [--program metascale] [--rounds 3]

On the CPU: fla's PyTorch forms of the recurrence, token by token and in chunks, which it has for tests (its kernels
need a GPU), in f32 with one thread and autograd's backward. With --cuda: chunk_rwkv7 in bf16 at the sizes of
`metascale bench gpu`, beside our scan and our chunked kernels. Without --program fla's alone are timed. Microseconds
per head and token. Before anything is timed, outputs and gradients must agree with a plain recurrence. Without fla, or
a GPU where one is asked for, the script says so and ends with exit code 69.
"""
import argparse
import re
import subprocess

import peer

WHERE = "PyPI: torch, flash-linear-attention"
torch = peer.needed("torch", WHERE)
naive = peer.needed("fla.ops.generalized_delta_rule.dplr.naive", WHERE)


def by_heads(form):
    """fla's PyTorch forms take (batch, heads, tokens, SIZE), scale r, and name the operands otherwise."""
    def read(r, log_w, k, v, a, b):
        r, log_w, k, v, a, b = (x.transpose(1, 2) for x in (r, log_w, k, v, a, b))
        return form(r * peer.SIZE ** 0.5, k, v, a, b, log_w)[0].transpose(1, 2)
    return read


def ours_on_cpu(program, tokens, heads):
    out = subprocess.run([program, str(peer.SIZE), str(tokens), str(heads)],
                         check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^(.+?) +([\d.]+) \(best", out, re.M))
    return {"metascale": [float(found["forward"]), float(found["forward + backward"])]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--program")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cuda:
        peer.need_gpu()
        chunk_rwkv7 = peer.needed("fla.ops.rwkv7", WHERE).chunk_rwkv7
        forms = {"fla, chunk_rwkv7": lambda *operands: chunk_rwkv7(*operands)[0]}
        batch, tokens, heads, device, dtype = peer.BATCH, peer.TOKENS, peer.HEADS, "cuda", torch.bfloat16
        where, wait = f"{torch.cuda.get_device_name()}, bf16", torch.cuda.synchronize
    else:
        forms = {"fla, PyTorch by token": by_heads(naive.dplr_recurrence),
                 "fla, PyTorch in chunks": by_heads(naive.dplr_chunkwise)}
        batch, tokens, heads, device, dtype = 1, options.tokens, options.heads, "cpu", torch.float32
        where, wait = "CPU, f32, one thread", lambda: None
    for name, form in forms.items():
        peer.must_agree(name, form, device, dtype)
    given = peer.operands(batch, tokens, heads, device, dtype)
    ours = None
    if options.program:
        ours = (lambda: peer.our_wkv7(options.program)) if options.cuda else (
            lambda: ours_on_cpu(options.program, tokens, heads))
    rows = peer.wkv7_in_turn(options.rounds, ours, {name: (form, given) for name, form in forms.items()}, wait)
    peer.print_wkv7(rows, f"torch {torch.__version__}, {where}, {batch} x {tokens} tokens, {heads} heads")


if __name__ == "__main__":
    main()
