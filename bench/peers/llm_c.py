#!/usr/bin/env python3
"""Training steps of our Transformer beside llm.c's GPT of 124M parameters on a GPU, in turn, in bf16.

usage: llm_c.py --program metascale [--peer train_gpt2cu] [--context 2048] [--steps 30] [--rounds 3]

The peer is llm.c's program as its own project builds it (bench/peers/README.md says how it gets there; nothing is built
here), build/peers/train_gpt2cu where none is named. Both take steps of 32,768 tokens in windows of --context
tokens: 2048 is llm.c's gpt3:c768, 1024 its gpt2:d12; both have 12 layers of 768 channels, 12 heads and 50304 rows of
vocabulary. llm.c reads random tokens from a file that this script writes, keeps f32 weights beside the bf16 ones as we
do, and recomputes nothing (-r 0), as we do.

The shapes are not equal: llm.c ties the head to the embedding and learns its positions; ours is the 150M model of
`metascale bench gpu`, untied, rotary, with a feed-forward width matched to 150M parameters. The table says both shapes.
Model FLOP/s, by one rule for both (docs/model.md), is the ratio to quote; tokens/s stand beside it.
Without the peer, our program or a GPU the script says so and ends with exit code 69.
"""
import argparse
import array
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

import peer
from peer import spread

STEP_TOKENS = 32768
DESCRIPTORS = {1024: "gpt2:d12", 2048: "gpt3:c768"}
LAYERS, WIDTH, ROWS = 12, 768, 50304  # of both descriptors; rows of the vocabulary with its padding
VOCABULARY = 50257
WARM_UP = 5
STEP = re.compile(r"^step +\d+/\d+ \|.*\| *([\d.]+) ms \|", re.M)
PARAMETERS = re.compile(r"^\| num_parameters +\| (\d+) ", re.M)
PRECISION = re.compile(r"^\| precision +\| (\S+) ", re.M)


def write_tokens(path, count):
    """llm.c's file of tokens: 256 int32, of which magic number, version and count; then a uint16 for each."""
    tokens = array.array("H", random.Random(1).choices(range(VOCABULARY), k=count))
    header = array.array("i", [20240520, 1, count] + 253 * [0])
    assert header.itemsize == 4 and tokens.itemsize == 2
    if sys.byteorder == "big":
        header.byteswap(), tokens.byteswap()
    path.write_bytes(header.tobytes() + tokens.tobytes())


def command(program, tokens, context, steps):
    # -v may not be 0; the loss of one batch is taken before the first step and after the last, outside the clock.
    return [program, "-i", tokens, "-j", tokens, "-e", DESCRIPTORS[context], "-b", str(STEP_TOKENS // context),
            "-t", str(context), "-d", str(STEP_TOKENS), "-x", str(steps), "-v", "1000000", "-m", "1", "-s", "0",
            "-h", "0", "-w", "1", "-r", "0", "-l", "1e-4", "-c", "0.1"]


def read_steps(out):
    """Median milliseconds of a step, parameters, and the precision, of what llm.c printed."""
    milliseconds, parameters, precision = STEP.findall(out), PARAMETERS.search(out), PRECISION.search(out)
    if len(milliseconds) <= WARM_UP or not parameters or not precision:
        sys.exit(f"llm.c prints otherwise than this script reads; its last lines:\n{out[-1000:]}")
    return statistics.median(map(float, milliseconds[WARM_UP:])), int(parameters[1]), precision[1]


def flops_per_token(context):
    """By our rule: 3 x forward; 2 x entries of matrices with the head, and causal attention."""
    return 3 * (2 * (12 * LAYERS * WIDTH ** 2 + ROWS * WIDTH) + LAYERS * 2 * WIDTH * (context + 1))


def theirs(program, context, steps):
    with tempfile.TemporaryDirectory() as folder:
        tokens = pathlib.Path(folder) / "tokens.bin"
        write_tokens(tokens, 8 * STEP_TOKENS + 1)
        # Absolute: it runs elsewhere, so that it leaves nothing here.
        done = subprocess.run(command(os.path.abspath(program), str(tokens), context, WARM_UP + steps), cwd=folder,
                              capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {(done.stderr or done.stdout)[-1000:]}")
    return read_steps(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="metascale")
    parser.add_argument("--peer", default=peer.LOCAL / "train_gpt2cu")
    parser.add_argument("--context", type=int, default=2048, choices=sorted(DESCRIPTORS))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peer.need_file(options.peer, "llm.c's train_gpt2cu")
    batch, rates, flops = STEP_TOKENS // options.context, [], []
    for _ in range(options.rounds):
        row = peer.bench_step(options.program, "gpu", "150M", "transformer", "--batch", str(batch),
                              "--context", str(options.context), "--steps", str(options.steps))
        if "not_measured" in row:
            peer.not_measured(f"our Transformer: {row['not_measured']}")
        milliseconds, parameters, precision = theirs(options.peer, options.context, options.steps)
        if precision != "BF16":
            sys.exit(f"{options.peer} was built for {precision}, not for BF16")
        rates.append((row["tokens_per_second"], 1e3 * STEP_TOKENS / milliseconds))
        flops.append((row["model_flops_per_second"], rates[-1][1] * flops_per_token(options.context)))
    print(f"{row['gpu']}, bf16, {batch} x {options.context} tokens a step, medians [least, most]")
    print("| | parameters | layers x width, feed-forward | tokens/s | model TFLOP/s | MFU over 989 TFLOP/s |")
    print("|---|---|---|---|---|---|")
    shapes = (f"metascale | {row['parameters']} | {row['layers']} x {row['width']}, {row['feed_forward']}, untied",
              f"llm.c | {parameters} | {LAYERS} x {WIDTH}, {4 * WIDTH}, tied")
    for shape, rate, flop in zip(shapes, zip(*rates), zip(*flops)):
        print(f"| {shape} | {spread(rate)} | {spread([1e-12 * x for x in flop], '.1f')} | "
              f"{100 * statistics.median(flop) / 989e12:.1f} % |")
    for what, pairs in (("tokens/s", rates), ("model FLOP/s", flops)):
        print(f"ours over llm.c's, {what}: {spread([mine / its for mine, its in pairs], '.2f')}")


if __name__ == "__main__":
    main()
