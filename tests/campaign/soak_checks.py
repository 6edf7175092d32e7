"""What soak.py looks at: memory and file handles of processes over time, and what runs leave."""
import collections
import csv
import glob
import os
import statistics
import time

import h5py
import numpy

PAGE = os.sysconf("SC_PAGE_SIZE")
# Flat: in the last quarter of a process's life the median is not above that of its second quarter
# (the first is the start) by more than this.
MOST_MIB = {"run": 2, "train": 8}  # the last quarter may be the final evaluation
MOST_BYTES_A_STEP = 512  # of a training process: it keeps its log
MOST_HANDLES = 1
FEWEST_SAMPLES = 40  # of a process that is judged

Sample = collections.namedtuple("Sample", "seconds rss_mib handles")


def children_of(process):
    with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


class Watch:
    def __init__(self, interval):
        self.interval = interval  # seconds
        self.samples = collections.defaultdict(list)  # (role, process id) -> samples
        self.begin = time.monotonic()

    def sample(self, sweep):
        """Looks at the sweep's process and its training processes; returns these."""
        try:
            children = children_of(sweep)
        except OSError:  # it has ended
            return []
        for role, process in [("run", sweep)] + [("train", child) for child in children]:
            try:
                self.look(role, process)
            except OSError:  # it has ended
                pass
        return children

    def look(self, role, process):
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            rss = int(file.read().split()[1]) * PAGE / 2**20
        handles = len(os.listdir(f"/proc/{process}/fd"))
        if rss > 0:  # not yet waited for by its parent: has none
            self.samples[role, process].append(
                Sample(time.monotonic() - self.begin, rss, handles))

    def judged(self):
        """(role, process, medians of its second and last quarter); of those that lived for long."""
        for (role, process), samples in self.samples.items():
            if len(samples) < FEWEST_SAMPLES:
                continue
            quarter = len(samples) // 4
            yield role, process, median(samples[quarter:2 * quarter]), median(samples[-quarter:])

    def growth(self, steps):
        """One sentence for each process that grew; steps: of a run."""
        problems, roles = [], set()
        for role, process, early, late in self.judged():
            roles.add(role)
            log = steps * MOST_BYTES_A_STEP / 2**20 if role == "train" else 0
            if late.rss_mib > early.rss_mib + MOST_MIB[role] + log:
                problems.append(f"memory of {role} {process} grew from {early.rss_mib:.1f} to "
                                f"{late.rss_mib:.1f} MiB")
            if late.handles > early.handles + MOST_HANDLES:
                problems.append(f"{role} {process} had {early.handles:g} open files, then "
                                f"{late.handles:g}")
        return problems + [f"no process of '{role}' lived for {FEWEST_SAMPLES} samples; give it "
                           "more minutes" for role in {"run", "train"} - roles]

    def table(self):
        lines = ["| process | judged | longest life, s | MiB: 2nd quarter | last | most growth "
                 "| open files: 2nd quarter | last |", "|---|---|---|---|---|---|---|---|"]
        for role in ["run", "train"]:
            judged = [(early, late) for each, _, early, late in self.judged() if each == role]
            if not judged:
                continue
            life = max(s[-1].seconds - s[0].seconds for (r, _), s in self.samples.items()
                       if r == role)
            early, late = (median([pair[i] for pair in judged]) for i in (0, 1))
            grown = max(b.rss_mib - a.rss_mib for a, b in judged)
            lines.append(f"| {role} | {len(judged)} of "
                         f"{sum(r == role for r, _ in self.samples)} | {life:.0f} | "
                         f"{early.rss_mib:.1f} | {late.rss_mib:.1f} | {grown:+.1f} | "
                         f"{early.handles:g} | {late.handles:g} |")
        return "\n".join(lines)

    def write(self, path):
        with open(path, "w", newline="", encoding="ascii") as file:
            writer = csv.writer(file)
            writer.writerow(["process", "pid", *Sample._fields])
            for (role, process), samples in self.samples.items():
                for each in samples:
                    writer.writerow([role, process, f"{each.seconds:.2f}", f"{each.rss_mib:.2f}",
                                     each.handles])


def median(samples):
    return Sample(*map(statistics.median, zip(*samples)))


def runs_of(results):
    return sorted(os.path.basename(path) for path in glob.glob(f"{results}/soak/runs/*"))


def differences(undisturbed, disturbed):
    """One sentence for each thing in which a run of one folder of results is not the other's."""
    runs = runs_of(undisturbed)
    assert len(runs) == 4, runs
    if runs_of(disturbed) != runs:
        return [f"{disturbed}: other runs than undisturbed: {runs_of(disturbed)}"]
    problems = []
    for run in runs:
        ours, theirs = (f"{results}/soak/runs/{run}" for results in (undisturbed, disturbed))
        problems += [f"{theirs}: {what}" for what in run_differences(ours, theirs)]
    return problems


def run_differences(undisturbed, disturbed):
    if os.path.exists(os.path.join(disturbed, "FAILED")):
        yield "it failed"
    with h5py.File(f"{undisturbed}/run.h5") as a, h5py.File(f"{disturbed}/run.h5") as b:
        for column in deterministic_columns(a):
            if not same_bits(a[column][()], b[column][()]):
                yield f"{column} differs"
    for part in ["model.safetensors", "moments.safetensors"]:
        paths = [newest_checkpoint(run) + "/" + part for run in (undisturbed, disturbed)]
        a, b = (open(path, "rb").read() for path in paths)
        if a != b:
            yield f"{part} differs"


def deterministic_columns(file):
    columns = []
    file.visititems(lambda name, item: columns.append(name)
                    if item.attrs.get("deterministic", False) else None)
    assert "steps/loss" in columns and len(columns) > 10, columns
    return columns


def same_bits(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.hasobject:  # strings
        return numpy.array_equal(a, b)
    return a.tobytes() == b.tobytes()


def newest_checkpoint(run):
    return max(path for path in glob.glob(f"{run}/checkpoints/step-*") if os.path.isdir(path))
