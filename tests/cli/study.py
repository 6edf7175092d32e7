"""Runs a sweep and holds that all its runs are done and its report has the differences that the study is for.
Only differences with intervals are asked for, not what they are: that is what a study finds out.
usage: study.py PROGRAM SWEEP RESULTS"""
import json
import math
import os
import shutil
import subprocess
import sys

ARMS = ("rwkv7", "previous", "time_mix")


def states(program, folder):
    words = subprocess.run([program, "status", folder, "--json"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(words)["states"]


def is_interval(pair):
    return len(pair) == 2 and all(isinstance(end, float) and math.isfinite(end) for end in pair) and pair[0] < pair[1]


def check_report(folder, seeds):
    assert os.path.exists(folder + "/report/report.html")
    with open(folder + "/report/fits.json") as file:
        pairs = json.load(file)["pairs"]
    found = {frozenset((pair["first"], pair["second"])): pair for pair in pairs}
    for wanted in (ARMS[:2], ARMS[::2], ARMS[1:]):
        pair = found[frozenset(wanted)]
        assert "problem" not in pair, pair["problem"]
        result = pair["result"]
        assert len(result["per_seed"]) == seeds, result["per_seed"]
        assert is_interval(result["bca"]) and is_interval(result["with_seeds"]), result
        print("%s: %.4f, with seeds %s" % (" and ".join(wanted), result["difference"], result["with_seeds"]))


def main(program, sweep, results):
    if not os.path.exists("corpora/small/train.json"):
        print("skipped: corpora/small is not there; scripts/make_small_corpus.sh makes it")
        sys.exit(77)
    shutil.rmtree(results, ignore_errors=True)
    subprocess.run([program, "run", sweep, "--results", results], check=True)
    (name,) = os.listdir(results)
    folder = os.path.join(results, name)
    runs = len(os.listdir(folder + "/runs"))
    assert runs == 12 and states(program, folder) == {"done": runs}, states(program, folder)
    check_report(folder, seeds=3)


if __name__ == "__main__":
    main(*sys.argv[1:])
