"""Runs scripts/run_gpu_study.py as a dry run on the CPU, and its branches for a GPU with a program that stands in for
one: says it is a GPU, and trains on the CPU.
usage: gpu_study.py SCRIPT PROGRAM"""
import argparse
import copy
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

STAND_IN = """#!{python}
import json, os, re, sys
if sys.argv[1:3] == ["bench", "gpu"]:
    row = dict(operator="scan", seconds=2e-3, share_of_bound=0.25)
    print(json.dumps(dict(gpu="Stand-in", operators=[row, dict(row, operator="add", share_of_bound=0.9)])))
    sys.exit(0)
for path in sys.argv[2:3]:
    if path.endswith(".yaml") and sys.argv[1] != "plan":
        with open(path) as file:
            text = file.read().replace("device: cuda", "device: cpu")
        with open(path, "w") as file:
            file.write(re.sub(", (cuda_graph|timed_products): true", "", text))
os.execv({program!r}, [{program!r}] + sys.argv[1:])
"""
NSYS = """#!/bin/sh
[ "$1" != stats ] || printf 'Processing\\n\\n%s\\n%s\\n%s\\n' \\
  '"Time (%)","Total Time (ns)","Name"' '60.5,"5","void metascale::(anonymous namespace)::scan<float, 64>(Args)"' \\
  '39.5,"3","gemm_kernel"'
"""


def expect(holds, what):
    if not holds:
        sys.exit("gpu_study.py: " + what)


def start(script, code, *options, **environment):
    done = subprocess.run([sys.executable, script, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, env=dict(os.environ, **environment), check=False)
    expect(done.returncode == code, "%s ended with %d, not %d:\n%s%s" % (
        " ".join(options), done.returncode, code, done.stdout, done.stderr))
    return done


def rows(done):
    return [line for line in done.stdout.splitlines() if line.startswith("| ")]


def executable(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o755)


def load(script):
    spec = importlib.util.spec_from_file_location("study", script)
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    return study


def check_settings(study, program, folder):
    """What would be trained on a GPU can be planned, which needs no data."""
    full = study.Study(argparse.Namespace(device="cuda", tiny=False, folder=folder, program=program))
    full.vocabulary = study.FULL_TEXT.vocabulary
    tokens = study.tokenizer_of(study.FULL_TEXT, study.words_of(study.FULL_TEXT))["model"]["vocab"]
    expect(50000 < len(tokens) <= full.vocabulary, "%d tokens" % len(tokens))
    for full.part in study.FULL:
        for setting in full.settings():
            sweep = full.sweep_file("setting", setting, "bf16", ", cuda_graph: true")
            done = subprocess.run([program, "plan", sweep, "--json"], stdout=subprocess.PIPE, check=True)
            runs = json.loads(done.stdout)["runs"]
            expect([run["architecture"] for run in runs] == list(study.ARCHITECTURES), str(runs))
            expect(all(run["steps"] == setting.steps for run in runs), str(runs))


def check_comparison(study, journal):
    """Equal bits are looked for, and their absence is found."""
    first = study.Journal(journal)
    for change in ("loss", "gradient_norm", "digest", "seconds"):
        second = copy.deepcopy(first)
        second.steps[-1][change] = "0x7ff8000000000000"
        found = study.difference_of(first, second)
        expect(found == ("" if change == "seconds" else "%s of step %d" % (change, len(first.steps))), found)
    second = copy.deepcopy(first)
    second.evaluations[-1]["nats"] += 1e-9
    expect(study.difference_of(first, second) == "the evaluation", "an evaluation that differs")
    expect(study.largest_distance([2.02] * 30, [2.0] * 30) > 0.0099, "losses that are apart")


def main(script, program):
    with tempfile.TemporaryDirectory() as folder:
        start(script, 2, "speed")
        start(script, 2, "--device", "cpu")
        start(script, 69, "--folder", folder)  # no bundle
        common = ["--tiny", "--folder", folder, "--architecture"]
        done = start(script, 0, "--device", "cpu", "--program", program, *common, "meta_state")
        found = rows(done)
        expect(len(found) == 5 and all("CPU dry run" in row and "H200" not in row for row in found), done.stdout)
        expect(found[0].endswith(": meta_state equal |"), found[0])
        logs = os.path.join(folder, "results", "dry-run")
        study = load(script)
        check_comparison(study, os.path.join(logs, "bits", "meta_state-first.jsonl"))
        check_settings(study, program, folder)

        executable(os.path.join(folder, "gpu"), STAND_IN.format(python=sys.executable, program=program))
        gpu = ["--program", os.path.join(folder, "gpu"), *common, "transformer"]
        # A process's memory is not what is planned of a GPU.
        done = start(script, 1, *gpu, "bits", "memory", "train", "profile", PATH=folder)
        found = rows(done)
        expect(len(found) == 4 and all("Stand-in" in row and "dry run" in row for row in found), done.stdout)
        expect("equal, with a CUDA graph equal" in found[0] and "MFU" in found[2], done.stdout)
        expect("MISSED: memory: transformer" in done.stderr and "MISSED: train" not in done.stderr, done.stderr)
        expect("nsys is absent" in found[3] and "scan 1500 of 2000 us; add" in found[3], found[3])
        executable(os.path.join(folder, "nsys"), NSYS)
        done = start(script, 0, *gpu, "profile", PATH=folder)
        expect("transformer metascale::scan 60.5 %, gemm_kernel 39.5 %" in done.stdout, done.stdout)
        done = start(script, 1, *gpu, "--minutes", "0", "train")
        expect("not measured: no time was left" in done.stdout, done.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
