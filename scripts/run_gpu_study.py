#!/usr/bin/env python3
"""In a bundle (scripts/make_bundle.sh), on a machine with a GPU: trains models of all four architectures on a
text that it makes itself, and prints rows for docs/gpu-results.md. Needs Python 3.8 or later and nothing else.
Parts, by default all; minutes are estimates for an H200 (none was measured), each part ends after --minutes:
  bits       100 steps of 150M in bf16 twice and with a CUDA graph, by default of a Transformer and
             a Meta-State: equal bits; and what timed products would gain (4)
  precision  200 steps of a 50M model in f32 and in bf16: how far the smoothed losses are apart (4)
  memory     150M and 450M, two steps: the peak that `plan` predicts, and the device's (4)
  train      150M, 200 steps: falling loss, tokens/s, MFU, memory, joules (5)
  profile    kernels of whole steps by nsys, else operators by what they lose to their bound (3)
What the program prints, its plans and journals are kept in results/study/PART, the rows in rows.md there; texts and
runs lie in study/, a checkpoint until its run is done. A dry run's folders are called dry-run.
Exit codes: 0 good, 1 a goal was missed or a run failed, 2 usage, 69 no GPU or no program for it, 74 files."""
import argparse
import collections
import datetime
import glob
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

BUNDLE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, BUNDLE)
sys.dont_write_bytecode = True
from gpu_study.readings import (SMOOTHED, Journal, difference_of, kernel_rows, largest_distance, quarters,  # noqa: E402
                                smoothed)
from gpu_study.text import Text, sentences, tokenizer_of, words_of  # noqa: E402

ARCHITECTURES = ("transformer", "transformer_pp", "rwkv7", "meta_state")
GIB = 2.0 ** 30

SWEEP = """schema: 1
name: {name}
device: {device}
arms:
  transformer: {{architecture: transformer}}
  transformer_pp: {{architecture: transformer_pp}}
  rwkv7: {{architecture: rwkv7}}
  meta_state: {{architecture: meta_state}}
match: {{on: {match}, tolerance: 2%}}
axes: {{size: [{size}], length: [{length} tokens], seed: [1]}}
training: {{batch_tokens: {batch}, micro_batch: {micro_batch}, context: {context}, precision: {precision},
           schedule: {{kind: cosine, warmup: 10%, final: 10%}}{more}}}
data: {{name: study, train: {tokens}/train, validation: {tokens}/validation, test: {tokens}/test,
       tokenizer: {tokenizer}, vocabulary: {vocabulary}}}
evaluation: {{every: never, final: {windows} windows}}
log: {{checkpoint_every: never, keep: 1}}
policy: {{retries: 0}}
"""

Setting = collections.namedtuple("Setting", "size match batch micro_batch context steps")
SMALL = "{name: 50M, layers: 6, width: 384, head_size: 64, target: 50M}"
TINY = "{name: 30k, layers: 2, width: 32, head_size: 16, target: 30k}"
TINY_2 = "{name: 60k, layers: 2, width: 48, head_size: 16, target: 60k}"
FULL_TEXT = Text("bcdfghjklmnpqrstvwxz", "aeiou", 49700, 1000, 4000000, 100000, 50304)
TINY_TEXT = Text("bdgkl", "aio", 300, 40, 20000, 1500, 640)
FULL = {
    "bits": [Setting("150M", "parameters", 32768, 8, 2048, 100)],
    "precision": [Setting(SMALL, "parameters", 16384, 32, 512, 200)],
    "memory": [Setting(size, "parameters", 32768, 16, 2048, 2) for size in ("150M", "450M")],
    "train": [Setting("150M", "parameters", 65536, 16, 2048, 200)],
}
TINY_MODELS = {
    "bits": [Setting(TINY, "non_embedding_parameters", 256, 4, 32, 8)],
    "precision": [Setting(TINY, "non_embedding_parameters", 512, 16, 32, 24)],
    "memory": [Setting(size, "non_embedding_parameters", 256, 8, 32, 2) for size in (TINY, TINY_2)],
    "train": [Setting(TINY, "non_embedding_parameters", 512, 16, 32, 32)],
}


class Stop(Exception):
    """Ends the program: its exit code, and what to do."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class NotMeasured(Exception):
    """Ends one measurement: why."""


def end_with_children(process):
    """Runs that it started are asked to save, then it is not waited for them any longer."""
    for wish, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, wish)
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            pass
        except ProcessLookupError:
            return


class Study:
    def __init__(self, options):
        self.options = options
        self.on_gpu = options.device == "cuda"
        self.here = os.path.abspath(options.folder)
        self.name = "dry-run" if options.tiny else "study"  # folders of their own: nobody takes one for the other
        self.data = os.path.join(self.here, self.name)
        self.program = os.path.abspath(options.program) if options.program else self.unpacked()
        self.missed, self.part, self.end = [], "", math.inf
        self.where = "" if self.on_gpu else "CPU dry run of models too small to say anything"

    def unpacked(self):
        """The bundle's own program, with what run_gpu_tests.sh gives it, too."""
        if not os.path.isdir(os.path.join(BUNDLE, "bin")):
            packed = os.path.join(BUNDLE, "program.tar.xz")
            if not os.path.exists(packed):
                raise Stop(69, "%s is not there; name a --program" % packed)
            if subprocess.call(["tar", "-C", BUNDLE, "-xJf", packed]) != 0:
                raise Stop(74, "program.tar.xz could not be unpacked; is there space, and xz?")
        folders = [os.path.join(BUNDLE, "lib")] + os.environ.get("LD_LIBRARY_PATH", "").split(":")
        folders += ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"]
        folders += glob.glob(os.path.join(sysconfig.get_path("purelib"), "nvidia", "*", "lib"))
        os.environ["LD_LIBRARY_PATH"] = ":".join(folder for folder in folders if os.path.isdir(folder))
        return os.path.join(BUNDLE, "bin", "metascale")

    def log_folder(self):
        folder = os.path.join(self.here, "results", self.name, self.part)
        os.makedirs(folder, exist_ok=True)
        return folder

    def call(self, name, *command):
        """Its output, which is kept as NAME.txt. NotMeasured: it failed, or took too long."""
        path = os.path.join(self.log_folder(), name + ".txt")
        left = self.end - time.monotonic()
        if left <= 0:
            raise NotMeasured("no time was left")
        with open(path, "w+b") as log, open(path + ".err", "w+b") as errors:
            process = subprocess.Popen(command, stdout=log, stderr=errors, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
            try:
                code = process.wait(None if left == math.inf else left)
            except subprocess.TimeoutExpired:
                raise NotMeasured("not done in time") from None
            finally:
                if process.poll() is None:
                    end_with_children(process)
            log.seek(0)
            errors.seek(0)
            output, said = log.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace").strip()
        if not said:
            os.remove(path + ".err")
        if code != 0:
            last = said.splitlines()[-1] if said else "it said nothing"
            raise NotMeasured("exit code %d of %s: %s" % (code, name, last.replace("|", "/")))
        return output

    def check_gpu(self):
        probe = [self.program, "bench", "gpu", "--check", "--f32", "--family", "elements", "--json"]
        try:
            found = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
            version = subprocess.run([self.program, "--version"], stdout=subprocess.PIPE, check=False).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Stop(69, str(error)) from None
        said = found.stderr.decode("utf-8", "replace").strip()
        if found.returncode != 0:
            raise Stop(69 if found.returncode in (69, 127) else 1, said)
        self.where = "%s, %s, %s%s" % (json.loads(found.stdout)["gpu"], datetime.date.today(),
                                       version.decode("utf-8", "replace").splitlines()[0],
                                       ", dry run of models too small to say anything" if self.options.tiny else "")

    def make_data(self):
        kind = TINY_TEXT if self.options.tiny else FULL_TEXT
        self.vocabulary = kind.vocabulary
        if os.path.exists(os.path.join(self.data, "tokens", "test.json")):
            return
        shutil.rmtree(self.data, ignore_errors=True)
        source = os.path.join(self.data, "text")
        os.makedirs(source)
        words = words_of(kind)
        for seed, (split, count) in enumerate((("train", kind.train), ("validation", kind.held_out),
                                               ("test", kind.held_out))):
            with open(os.path.join(source, split + ".jsonl"), "w", encoding="ascii") as file:
                for document in sentences(kind, words, count, seed):
                    file.write('{"text": "%s"}\n' % document)
        tokenizer = os.path.join(self.data, "tokenizer.json")
        with open(tokenizer, "w", encoding="ascii") as file:
            json.dump(tokenizer_of(kind, words), file)
        self.part = "data"
        try:
            self.call("prepare", self.program, "data", "prepare", source, "--tokenizer", tokenizer, "--no-overlap",
                      "--out", os.path.join(self.data, "tokens"))
        except NotMeasured as error:
            raise Stop(1, "the data could not be made: %s" % error) from None
        shutil.rmtree(source)

    def sweep_file(self, name, setting, precision, more):
        path = os.path.join(self.log_folder(), name + ".yaml")
        windows = setting.batch // setting.context
        with open(path, "w", encoding="ascii") as file:
            file.write(SWEEP.format(
                name=name, device=self.options.device, match=setting.match, size=setting.size,
                length=setting.steps * setting.batch, batch=setting.batch, micro_batch=setting.micro_batch,
                context=setting.context, precision=precision, more=more, tokens=os.path.join(self.data, "tokens"),
                tokenizer=os.path.join(self.data, "tokenizer.json"), vocabulary=self.vocabulary,
                windows=min(8, windows)))
        return path

    def train(self, name, architecture, setting, precision, more=""):
        """One run, from its beginning; its journal, and the bytes that plan predicted."""
        name = "%s-%s" % (architecture, name)
        sweep = self.sweep_file(name, setting, precision, more)
        results = os.path.join(self.data, "runs")
        shutil.rmtree(os.path.join(results, name), ignore_errors=True)
        chosen = ["--results", results, "--only", architecture + "-*"]
        (run,) = json.loads(self.call(name + ".plan", self.program, "plan", sweep, "--json", *chosen))["runs"]
        folder = os.path.join(results, name, "runs", run["id"])
        try:
            self.call(name, self.program, "run", sweep, "--slots", "1", "--no-report", *chosen,
                      *(["--threads", "1"] if self.options.tiny else []))
        finally:
            if os.path.exists(folder + "/journal.jsonl"):
                shutil.copy(folder + "/journal.jsonl", os.path.join(self.log_folder(), name + ".jsonl"))
            shutil.rmtree(os.path.join(results, name), ignore_errors=True)  # a checkpoint has gigabytes
        journal = Journal(os.path.join(self.log_folder(), name + ".jsonl"))
        if len(journal.steps) != setting.steps:
            raise NotMeasured("%d steps of %d" % (len(journal.steps), setting.steps))
        return journal, run

    def settings(self):
        return (TINY_MODELS if self.options.tiny else FULL)[self.part]

    def each(self, measure, architectures=ARCHITECTURES):
        """measure(architecture) for each of them; what it says, or why it says nothing."""
        words = []
        for architecture in self.options.architecture or architectures:
            begun = time.monotonic()
            try:
                said = measure(architecture)
            except NotMeasured as reason:
                said = "not measured: %s" % reason
                self.missed.append("%s, %s: %s" % (self.part, architecture, reason))
            words.append("%s %s" % (architecture, said))
            print("  %s (%.0f s)" % (words[-1], time.monotonic() - begun), flush=True)
        return words

    def judge(self, good, what):
        if not good:
            self.missed.append("%s: %s" % (self.part, what))
        return good

    def row(self, what, goal, words):
        line = "| %s | %s | %s: %s |" % (what, goal, self.where, "; ".join(words))
        with open(os.path.join(self.log_folder(), "rows.md"), "a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def bits(self):
        (setting,) = self.settings()
        # As a GPU stores them.
        precision = "bf16" if self.on_gpu else "bf16_stored"

        def measure(architecture):
            first = self.train("first", architecture, setting, precision)[0]
            second = self.train("second", architecture, setting, precision)[0]
            found = difference_of(first, second)
            said = "differs in " + found if found else "equal"
            self.judge(not found, "%s: %s" % (architecture, said))
            if not self.on_gpu:
                return said
            replayed = self.train("graph", architecture, setting, precision, ", cuda_graph: true")[0]
            found = difference_of(first, replayed)
            self.judge(not found, "%s with a CUDA graph differs in %s" % (architecture, found))
            said += ", with a CUDA graph " + ("differs in " + found if found else "equal")
            said += " and %+.1f %% tokens/s" % (
                100 * (replayed.tokens_per_second() / first.tokens_per_second() - 1))
            timed = self.train("timed", architecture, setting, precision, ", timed_products: true")[0]
            speeds = sorted((first.tokens_per_second(), second.tokens_per_second()))
            cost = timed.tokens_per_second() / speeds[1] - 1
            self.judge(cost <= 0.03, "%s: %.1f %% beside timed products" % (architecture, 100 * cost))
            return said + ", cost beside timed products %.1f %% (the two runs: %.1f %% apart)" % (
                100 * cost, 100 * (speeds[1] / speeds[0] - 1))

        self.row("%d steps twice, equal bits, cost of it" % setting.steps, "yes, at most 3 %",
                 self.each(measure, ("transformer", "meta_state")))

    def precision(self):
        (setting,) = self.settings()
        low = "bf16" if self.on_gpu else "bf16_stored"

        def measure(architecture):
            reference = self.train("f32", architecture, setting, "f32")[0].losses
            losses = self.train(low, architecture, setting, low)[0].losses
            distance = largest_distance(losses, reference)
            self.judge(distance <= 0.005, "%s: %.2f %%" % (architecture, 100 * distance))
            return "%.2f %% (last %d steps %.3f and %.3f)" % (
                100 * distance, SMOOTHED, smoothed(losses)[-1], smoothed(reference)[-1])

        self.row("loss of a bf16 run against f32, %d steps of a small model; largest difference of means of %d steps"
                 % (setting.steps, SMOOTHED), "within 0.5 %", self.each(measure))

    def memory(self):
        def measure(architecture):
            said = []
            for setting in self.settings():
                journal, run = self.train("memory%d" % self.settings().index(setting), architecture, setting, "bf16")
                asked = run["parameter_bytes"] + run["activation_bytes"]
                planned = run["device_bytes"] if self.on_gpu else asked
                peak = journal.fact("peak_memory_bytes")
                words = "%s %.3f planned, " % (run["size"], planned / GIB)
                if self.on_gpu:
                    # The goal is of all that the device reports; the run's own says where a miss comes from.
                    before = journal.fact("memory_before_bytes")
                    off, own = peak / planned - 1, (peak - before) / asked - 1
                    self.judge(abs(off) <= 0.03, "%s %s: %+.1f %%" % (architecture, run["size"], 100 * off))
                    words += "%.3f used (%+.1f %%), %.3f of it before the run asked for any, %.3f planned (without: %+.1f %%)" % (
                        peak / GIB, 100 * off, before / GIB, (planned - asked) / GIB, 100 * own)
                else:
                    self.judge(peak > 0, "%s: no peak was logged" % architecture)
                    words += "%.3f of a process, which plan does not predict" % (peak / GIB)
                said.append(words)
            return ", ".join(said)

        self.row("memory that `plan` predicts against the device's, GiB", "within 3 %", self.each(measure))

    def train_all(self):
        (setting,) = self.settings()

        def measure(architecture):
            journal, run = self.train("train", architecture, setting, "bf16")
            means = quarters(journal.losses)
            self.judge(means == sorted(means, reverse=True) and means[0] > means[3],
                       "%s: the loss does not fall: %s" % (architecture, means))
            said = "loss %s, %.0f tokens/s" % (" > ".join("%.3f" % mean for mean in means), journal.tokens_per_second())
            if self.on_gpu:
                flops = run["flops_per_token"] * journal.tokens_per_second()
                said += ", MFU %.1f %% of %.0f TFLOP/s" % (100 * flops / (1e12 * self.options.peak), self.options.peak)
                said += ", %.1f GiB" % (journal.fact("peak_memory_bytes") / GIB)
                joules = journal.fact("energy_joules")
                said += ", joules not counted" if math.isnan(joules) else ", %.0f J" % joules
            return said

        size = "30k" if self.options.tiny else "150M"
        self.row("%s run of each architecture, %d steps of %d tokens: loss by quarters, tokens/s, MFU, memory" %
                 (size, setting.steps, setting.batch), "falling loss", self.each(measure))

    def profile(self):
        what, goal = "profile of a step at 150M", "shows what comes next"
        if not self.on_gpu:
            self.row(what, goal, ["not measured: needs a GPU"])
            return
        if shutil.which("nsys"):
            self.row(what + ", largest kernels", goal, self.each(self.kernels_of))
            return
        try:
            output = json.loads(self.call("operators", self.program, "bench", "gpu", "--only", "operators", "--json"))
        except NotMeasured as reason:
            self.missed.append("profile: %s" % reason)
            self.row(what, goal, ["nsys is absent; operators not measured: %s" % reason])
            return
        # One call each, at the sizes of a 150M model: layers call most of them twelve times a step.
        lost = sorted(((row["seconds"] * (1 - row["share_of_bound"]), row) for row in output["operators"]),
                      key=lambda pair: -pair[0])
        self.row(what, goal, ["not measured: nsys is absent; operators by what a call loses to its bound"] +
                 ["%s %.0f of %.0f us" % (row["operator"], 1e6 * seconds, 1e6 * row["seconds"])
                  for seconds, row in lost[:8]])

    def kernels_of(self, architecture):
        folder = self.log_folder()
        trace = os.path.join(folder, architecture)
        self.call(architecture + ".profile", "nsys", "profile", "--trace=cuda", "--sample=none", "--cpuctxsw=none",
                  "--force-overwrite=true", "-o", trace, self.program, "bench", "gpu", "--only", "steps", "--steps",
                  "5", "--size", "150M", "--architecture", architecture)
        # The name of this report changed once.
        for report in ("cuda_gpu_kern_sum", "gpukernsum"):
            try:
                rows = kernel_rows(self.call(architecture + ".kernels", "nsys", "stats", "--force-export=true",
                                             "--report", report, "--format", "csv", trace + ".nsys-rep"))
            except NotMeasured:
                rows = []
            if rows:
                break
        else:
            raise NotMeasured("nsys stats knows no sums of kernels")
        return ", ".join("%s %.1f %%" % (name, share) for name, share in rows[:6])

    def run(self, part):
        self.part, self.end = part, time.monotonic() + 60 * self.options.minutes
        shutil.rmtree(self.log_folder())
        print("== %s" % part, flush=True)
        {"bits": self.bits, "precision": self.precision, "memory": self.memory, "train": self.train_all,
         "profile": self.profile}[part]()


PARTS = ("bits", "precision", "memory", "train", "profile")


def main(arguments):
    for wish in (signal.SIGTERM, signal.SIGHUP):  # runs that were started must not outlive this
        signal.signal(wish, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="run_gpu_study.py", description=__doc__, add_help=True,
                                     usage="run_gpu_study.py [OPTION...] [PART...]",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--architecture", action="append", choices=ARCHITECTURES, help="only this one [all]")
    parser.add_argument("--minutes", type=float, default=9, help="of a part, then its runs end [9]")
    parser.add_argument("--peak", type=float, default=989, help="TFLOP/s that MFU is quoted over [989: H100, H200]")
    parser.add_argument("--program", help="metascale [that of the bundle]")
    parser.add_argument("--folder", default=BUNDLE, help="where results/ and study/ are made [beside this script]")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: with --tiny")
    parser.add_argument("--tiny", action="store_true",
                        help="a dry run: models so small that they show no more than that all goes through")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error("no part is called %s; there are %s" % (unknown[0], ", ".join(PARTS)))
    if options.device == "cpu" and not options.tiny:
        parser.error("on a CPU only with --tiny: a dry run")
    try:
        study = Study(options)
        if study.on_gpu:
            study.check_gpu()
        if options.parts != ["profile"]:
            study.make_data()
        for part in options.parts or PARTS:
            study.run(part)
    except Stop as stop:
        print("run_gpu_study.py: %s" % stop, file=sys.stderr)
        return stop.code
    except OSError as error:
        print("run_gpu_study.py: %s" % error, file=sys.stderr)
        return 74
    for missed in study.missed:
        print("MISSED: %s" % missed, file=sys.stderr)
    if not study.missed:
        print("the dry run went through; it measures nothing" if options.tiny else "all goals met")
    return 1 if study.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
