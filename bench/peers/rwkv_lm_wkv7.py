#!/usr/bin/env python3
"""The WKV7 operator beside RWKV-LM's kernels and wind's chunked ones on a GPU, forward and with its backward, in turn.

usage: rwkv_lm_wkv7.py [--program metascale] [--library FILE.so ...] [--rounds 3]

Each library is a PyTorch extension that its own project has built, found by its name (bench/peers/README.md says how
it gets there; nothing is built here); those of build/peers/ are taken where none is named:
  rwkv7_clampw_v3.so    RWKV-LM's newest, from its source for the H100 or the alternative beside that
  rwkv7_clampw.so       RWKV-LM's default
  wind_chunked_cuda.so  wind_rwkv's chunked kernels, heads of 64
In bf16, at the sizes of `metascale bench gpu`, beside our scan and our chunked kernels; without --program theirs alone.
Microseconds per head and token. RWKV-LM's kernels make the decay of a sigmoid themselves and so spare a small kernel
that the others need beside them. Before anything is timed, outputs and gradients must agree with a plain recurrence in
f32. Without torch, a GPU or any library the script says so and ends with exit code 69.
"""
import argparse
import pathlib

import peer

torch = peer.needed("torch", "PyPI: torch")

CHUNK = 16  # tokens between two states that these kernels keep


class RwkvLm(torch.autograd.Function):
    """Operands r w k v a b, where w is the operand of the decay's sigmoid; keeps states and S a in f32."""

    @staticmethod
    def forward(ctx, ops, *given):
        batch, tokens, heads, size = given[0].shape
        y, device = torch.empty_like(given[0]), given[0].device
        states = torch.empty(batch, heads, tokens // CHUNK, size, size, dtype=torch.float32, device=device)
        removed = torch.empty(batch, tokens, heads, size, dtype=torch.float32, device=device)
        ops.forward(*given, y, states, removed)
        ctx.ops = ops
        ctx.save_for_backward(*given, states, removed)
        return y

    @staticmethod
    def backward(ctx, dy):
        *given, states, removed = ctx.saved_tensors
        gradients = [torch.empty_like(x) for x in given]
        ctx.ops.backward(*given, dy.contiguous(), states, removed, *gradients)
        return None, *gradients


class Wind(torch.autograd.Function):
    """Operands w r k v a b and a first state, all bf16; the decay is exp(-exp(w)). Keeps states in bf16."""

    @staticmethod
    def forward(ctx, ops, r, w, k, v, a, b):
        batch, tokens, heads, size = r.shape
        first = torch.zeros(batch, heads, size, size, dtype=r.dtype, device=r.device)
        last, y = torch.empty_like(first), torch.empty_like(v)
        states = torch.empty(batch, heads, tokens // CHUNK, size, size, dtype=r.dtype, device=r.device)
        ops.forward(w, r, k, v, a, b, first, y, states, last)
        ctx.ops = ops
        ctx.save_for_backward(r, w, k, v, a, b, states)
        return y

    @staticmethod
    def backward(ctx, dy):
        r, w, k, v, a, b, states = ctx.saved_tensors
        batch, _, heads, size = r.shape
        d_last = torch.zeros(batch, heads, size, size, dtype=r.dtype, device=r.device)
        dw, dr, dk, dv, da, db = (torch.empty_like(x) for x in (w, r, k, v, a, b))
        ctx.ops.backward(w, r, k, v, a, b, dy.contiguous(), states, d_last, dw, dr, dk, dv, da, db,
                         torch.empty_like(d_last))
        return None, dr, dw, dk, dv, da, db


# A library's name, which is its operators' too: (in the table, call, form of the decay).
KERNELS = {"rwkv7_clampw_v3": ("RWKV-LM, clampw v3", RwkvLm, "logit"),
           "rwkv7_clampw": ("RWKV-LM, clampw", RwkvLm, "logit"),
           "wind_chunked_cuda": ("wind, chunked", Wind, "log of minus log")}


def form_of(name):
    ops = getattr(torch.ops, name)
    return lambda *given: KERNELS[name][1].apply(ops, *given)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program")
    parser.add_argument("--library", action="append", help="one of these only")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peer.need_gpu()
    libraries = options.library or [peer.LOCAL / f"{name}.so" for name in KERNELS]
    found, theirs = [pathlib.Path(path) for path in libraries if pathlib.Path(path).exists()], {}
    for path in found:
        if path.stem not in KERNELS:
            parser.error(f"{path}: not one of {', '.join(KERNELS)}")
        torch.ops.load_library(str(path))
        title, _, decay = KERNELS[path.stem]
        form = form_of(path.stem)
        peer.must_agree(title, form, "cuda", torch.bfloat16, decay)
        theirs[title] = form, peer.operands(peer.BATCH, peer.TOKENS, peer.HEADS, "cuda", torch.bfloat16, decay)
    if not theirs:
        peer.not_measured(f"there is none of {', '.join(map(str, libraries))}")
    ours = (lambda: peer.our_wkv7(options.program)) if options.program else None
    rows = peer.wkv7_in_turn(options.rounds, ours, theirs, torch.cuda.synchronize)
    peer.print_wkv7(rows, f"torch {torch.__version__}, {torch.cuda.get_device_name()}, bf16, "
                          f"{peer.BATCH} x {peer.TOKENS} tokens, {peer.HEADS} heads")
    for path in set(map(pathlib.Path, libraries)) - set(found):
        print(f"not measured: {path} is not there")


if __name__ == "__main__":
    main()
