#!/usr/bin/python3
"""A small sweep under random faults for a while: its processes' memory and file handles must stay
flat, and its runs must leave what they leave undisturbed.

usage: soak.py [--minutes N] [--seed N] [--samples FILE.csv] PROGRAM INJECTOR

The sweep, two arms of two seeds, is made so long that it takes a quarter of the minutes, ten at
most: on a machine that gets busy afterwards it takes several times that. It runs
once undisturbed, then under faults until the time is over. Each time it is first started with
faults of the injector [injector.cpp] and killed, then left to its end while its training processes
are killed, asked to save, or stopped for a moment. Exit code 1: something was lost, or grew.
"""
import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import soak_checks

BATCH_TOKENS = 2048
CALIBRATION_STEPS = 10
FEWEST_STEPS = 20
SWEEP = """schema: 1
name: soak
arms:
  meta_state: {{architecture: meta_state, rank_decay: 8, rank_rate: 8, rank_value: 8, rank_gate: 8}}
  transformer: {{architecture: transformer}}
match: {{on: non_embedding_parameters, tolerance: 2%}}
axes:
  size: [{{name: 30k, layers: 2, width: 32, head_size: 16, target: 30k}}]
  length: [{tokens} tokens]
  seed: [1, 2]
training: {{batch_tokens: {batch}, context: 64}}
evaluation: {{every: 10 steps, windows: 8 windows}}
log: {{checkpoint_every: 5 steps, keep: 2}}
policy: {{retries: 1000}}
data: {{name: soak, train: {data}/train, validation: {data}/validation, test: {data}/test}}
"""
# CALL:PART:NUMBER:ACTION; at a random number, in every process of the sweep.
INJECTED = ["write:journal.jsonl:{}:torn", "write:checkpoints/:{}:kill", "write:run.h5:{}:short",
            "write:checkpoints/:{}:5", "sync:journal.jsonl:{}:5", "rename:checkpoints/:{}:5",
            "rename:run.h5:{}:kill", "write:journal.jsonl:{}:28", "write:evaluations/:{}:122",
            "create:checkpoints/:{}:30", "clock::{}:86400", "clock::{}:-86400"]
SIGNALS = {"kill -9": signal.SIGKILL, "TERM": signal.SIGTERM, "STOP, CONT": signal.SIGSTOP}
STARTS_WITH_INJECTION = 3
MOST_STARTS = 30  # of one sweep: an injected fault may end a run, and the next start goes on


class Sweep:
    """The sweep in a folder of results, started as often as it needs."""

    def __init__(self, here, name, watch):
        self.results = os.path.join(here.folder, name)
        self.here, self.watch = here, watch

    def start(self, injected=""):
        environment = dict(os.environ)
        if injected:
            environment.update(METASCALE_FAULT=injected, LD_PRELOAD=self.here.injector)
        with open(self.results + ".log", "ab") as log:
            return subprocess.Popen(
                [self.here.program, "run", self.here.sweep_file, "--results", self.results,
                 "--threads", "1", "--no-report"], stdout=log, stderr=log, env=environment)

    def follow(self, process, each_tick, limit):
        """Samples until the process ends or the seconds are over; its exit code, or None."""
        end = time.monotonic() + limit
        while process.poll() is None and time.monotonic() < end:
            each_tick(self.watch.sample(process.pid))
            time.sleep(self.watch.interval)
        return process.poll()

    def finish(self, each_tick, limit):
        """Exit code of a start that nothing but each_tick disturbs."""
        process = self.start()
        code = self.follow(process, each_tick, limit)
        if code is None:
            process.kill()
            sys.exit(f"soak: {self.results} has not ended in {limit:.0f} s")
        return code

    def log_tail(self):
        with open(self.results + ".log", encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]


class Signals:
    """Now and then a fault for one of the training processes; more and more seldom, so that a
    machine on which even their start takes longer comes to the end."""

    def __init__(self, seconds_between, counts):
        self.between, self.counts = seconds_between, counts
        self.stopped = None
        self.wait()

    def wait(self):
        self.next = time.monotonic() + self.between * random.uniform(0.5, 1.5)

    def __call__(self, children):
        if self.stopped in children:
            os.kill(self.stopped, signal.SIGCONT)
        self.stopped = None
        if not children or time.monotonic() < self.next:
            return
        name = random.choice(list(SIGNALS))
        child = random.choice(children)
        os.kill(child, SIGNALS[name])  # no other reaps it but its parent: it is ours, or a zombie
        if SIGNALS[name] == signal.SIGSTOP:
            self.stopped = child
        self.counts[name] += 1
        self.between *= 1.1
        self.wait()


def disturb(sweep, seconds, counts):
    """The sweep once, with faults; ends when it is done."""
    for start in range(STARTS_WITH_INJECTION):
        fault = random.choice(INJECTED).format(random.randint(1, 200))
        process = sweep.start(fault)
        sweep.follow(process, lambda children: None, seconds / 8)
        counts["injected: " + fault.split(":", 1)[0] + " " + fault.rsplit(":", 1)[1]] += 1
        if process.poll() is None:
            process.send_signal(signal.SIGKILL if start == 0 else signal.SIGTERM)
            counts["kill -9 of the sweep" if start == 0 else "TERM to the sweep"] += 1
            sweep.follow(process, lambda children: None, 60)
    signals = Signals(min(20, max(1, seconds / 20)), counts)
    for _ in range(MOST_STARTS):
        if sweep.finish(signals, 20 * seconds + 120) == 0:
            return
    sys.exit(f"soak: not done after {MOST_STARTS} starts:\n{sweep.log_tail()}")


class Place:
    """What all sweeps share: program, injector, corpus, sweep file."""

    def __init__(self, folder, program, injector):
        self.folder = folder
        self.program, self.injector = os.path.abspath(program), os.path.abspath(injector)
        self.sweep_file = os.path.join(folder, "sweep.yaml")
        text = os.path.join(folder, "text")
        os.mkdir(text)
        for part, documents in [("train", 2000), ("val", 50), ("test", 50)]:
            with open(os.path.join(text, part + ".jsonl"), "w", encoding="utf-8") as file:
                for _ in range(documents):
                    words = random.choices("state time mix the reads value of key".split(), k=30)
                    file.write('{"text": "%s"}\n' % " ".join(words))
        subprocess.run([self.program, "data", "prepare", text, "--out", folder + "/data",
                        "--tokenizer", "bytes"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def set_steps(self, steps):
        with open(self.sweep_file, "w", encoding="utf-8") as file:
            file.write(SWEEP.format(tokens=steps * BATCH_TOKENS, batch=BATCH_TOKENS,
                                    data=self.folder + "/data"))


def undisturbed(here, name, watch, limit):
    """The finished sweep, and the seconds it took."""
    begin = time.monotonic()
    sweep = Sweep(here, name, watch)
    if sweep.finish(lambda children: None, limit) != 0:
        sys.exit(f"soak: the undisturbed sweep failed:\n{sweep.log_tail()}")
    return sweep, time.monotonic() - begin


def soak(here, minutes, watch):
    end = time.monotonic() + 60 * minutes
    here.set_steps(CALIBRATION_STEPS)
    _, seconds = undisturbed(here, "calibration", soak_checks.Watch(0.25), 600)
    steps = max(FEWEST_STEPS, round(CALIBRATION_STEPS * min(15 * minutes, 600) / seconds))
    here.set_steps(steps)
    truth, seconds = undisturbed(here, "undisturbed", watch, 3600 * 24)
    counts, sweeps, problems = collections.Counter(), 0, []
    while sweeps == 0 or time.monotonic() < end:
        sweeps += 1
        sweep = Sweep(here, f"disturbed-{sweeps}", watch)
        disturb(sweep, seconds, counts)
        problems += soak_checks.differences(truth.results, sweep.results)
    print("| fault | times |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"\n{sum(counts.values())} faults, {sweeps} sweeps of {seconds:.0f} s undisturbed")
    return problems + watch.growth(steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("injector")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", help="a CSV file of what was seen of each process")
    options = parser.parse_args()
    random.seed(options.seed)
    # On a busy machine a process of the one-minute form lives for some three seconds between two faults.
    watch = soak_checks.Watch(min(1.0, max(0.05, options.minutes * 60 / 2000)))
    with tempfile.TemporaryDirectory(prefix="metascale-soak-") as folder:
        problems = soak(Place(folder, options.program, options.injector), options.minutes, watch)
    print(watch.table())
    if options.samples:
        watch.write(options.samples)
    for problem in problems:
        print("soak:", problem, file=sys.stderr)
    return 1 if problems else 0


sys.exit(main())
