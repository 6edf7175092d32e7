#!/usr/bin/env python3
"""Our tokenizer beside Hugging Face's `tokenizers`, the reference implementation: same file, same text, one thread.

usage: tokenizers_throughput.py --program build/release/bench/bench_tokenizer TOKENIZER.json FILE [--rounds 3]

FILE is .jsonl or .jsonl.zst. Both are timed in turn, by CPU time, text in memory; both must come to as many tokens.
Without `tokenizers` (PyPI; call this script with the python that has it) it says so and ends with exit code 69.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

import peer
from peer import spread

os.environ["TOKENIZERS_PARALLELISM"] = "false"
tokenizers = peer.needed("tokenizers", "PyPI: tokenizers")

OURS = re.compile(r"^1 threads: .* ([\d.]+) MB per CPU second \(.* ([\d.]+) M tokens\)", re.M)


def read_texts(path):
    if not path.endswith(".zst"):
        with open(path, encoding="utf-8") as file:
            return [json.loads(line)["text"] for line in file]
    lines = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    return [json.loads(line)["text"] for line in lines.splitlines()]


def ours(program, tokenizer, path):
    out = subprocess.run([program, tokenizer, path, "1"], check=True, capture_output=True, text=True).stdout
    rate, tokens = OURS.search(out).groups()
    return float(rate), float(tokens)


def theirs(tokenizer, texts):
    begin, count = time.process_time(), 0
    for text in texts:
        count += len(tokenizer.encode(text, add_special_tokens=False).ids)
    seconds = time.process_time() - begin
    return sum(len(text.encode()) for text in texts) * 1e-6 / seconds, count * 1e-6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("tokenizer")
    parser.add_argument("file")
    options = parser.parse_args()
    texts, reference = read_texts(options.file), tokenizers.Tokenizer.from_file(options.tokenizer)
    rates = []
    for _ in range(options.rounds):
        mine, my_tokens = ours(options.program, options.tokenizer, options.file)
        its, its_tokens = theirs(reference, texts)
        if abs(my_tokens - its_tokens) > 0.005:
            sys.exit(f"{my_tokens} M tokens are not the reference's {its_tokens:.2f} M")
        rates.append((mine, its, mine / its))
    mine, its, ratio = zip(*rates)
    print(f"MB per CPU second, one thread, {its_tokens:.2f} M tokens of {options.file}")
    print(f"metascale            {spread(mine, '.1f')}")
    print(f"tokenizers {tokenizers.__version__:9} {spread(its, '.2f')}")
    print(f"ratio                {spread(ratio, '.1f')}")


if __name__ == "__main__":
    main()
