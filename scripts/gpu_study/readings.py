"""What a run and a profiler say: journals (docs/log-schema.md), how two differ, sums of kernels."""
import collections
import csv
import json
import math
import statistics
import struct

DETERMINISTIC = ("step", "tokens", "flops", "loss", "learning_rate", "gradient_norm", "digest")
OF_THE_MACHINE = ("seconds", "attempt", "crc")  # of an evaluation: all else is deterministic
SMOOTHED = 20  # steps


def number(value):
    """Of a journal: one that is not finite is given by its bits."""
    if isinstance(value, str):
        return struct.unpack("<d", struct.pack("<Q", int(value, 16)))[0]
    return float(value)


class Journal:
    def __init__(self, path):
        self.steps, self.evaluations, self.facts = [], [], {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if row["row"] == "step":
                    self.steps.append(row)
                elif row["row"] == "evaluation":
                    self.evaluations.append(row)
                elif row["row"] == "header":
                    self.facts = row["facts"]
        self.losses = [number(row["loss"]) for row in self.steps]

    def tokens_per_second(self):
        """Median; the first steps make what is made once."""
        speeds = [number(row["tokens_per_second"]) for row in self.steps[min(10, len(self.steps) // 4):]]
        return statistics.median(speeds)

    def fact(self, name):
        return float(self.facts[name]) if name in self.facts else math.nan


def difference_of(first, second):
    """Where the deterministic columns of two journals differ; empty: nowhere."""
    if len(first.steps) != len(second.steps):
        return "%d and %d steps" % (len(first.steps), len(second.steps))
    for a, b in zip(first.steps, second.steps):
        for column in DETERMINISTIC:
            if a[column] != b[column]:
                return "%s of step %s" % (column, a["step"])
    kept = [[{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in journal.evaluations]
            for journal in (first, second)]
    return "" if kept[0] == kept[1] else "the evaluation"


def smoothed(losses):
    width = min(SMOOTHED, len(losses))
    return [statistics.fmean(losses[i:i + width]) for i in range(len(losses) - width + 1)]


def largest_distance(losses, reference):
    """Largest relative difference of the smoothed losses."""
    return max(abs(a / b - 1) for a, b in zip(smoothed(losses), smoothed(reference)))


def quarters(losses):
    each = len(losses) // 4
    return [statistics.fmean(losses[i * each:(i + 1) * each]) for i in range(4)]


def kernel_rows(text):
    """(name, percent of all kernels' time) of what `nsys stats` prints as CSV behind its remarks; the
    instances of a template together."""
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith(("Time", '"Time')) and "Name" in line]
    if not heads:
        return []
    rows = csv.DictReader(lines[heads[0]:])
    column = next(name for name in rows.fieldnames if name.startswith("Time"))
    shares = collections.Counter()
    for row in rows:
        name = (row["Name"] or "").replace("(anonymous namespace)::", "").split("(")[0].split("<")[0]
        shares[name.replace("void ", "").replace("|", "/").strip()] += float(row[column])
    return shares.most_common()
