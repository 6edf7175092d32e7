#!/usr/bin/env python3
"""Counts what matters in the machine code of CUDA kernels, per kernel: products of tensor cores (HMMA), their operands'
loads (LDSM), asynchronous copies (LDGSTS), f32 multiply-adds (FFMA), and accesses of local memory: spills, arrays with
an index known at run time only, sines of large angles.

usage: machine_code.py OBJECT...      objects or programs that nvcc made, for example build/cuda/kernels/**/wkv7*.cu.o

Needs cuobjdump and nvdisasm on PATH: of the CUDA Toolkit, or the wheels nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm.
Ends with 1 where a kernel whose name says `chunked` or `on_tensor_cores` has no HMMA or no LDGSTS, or one of these or of
WKV7, f64 left out, a spill; with 69 without the tools.
"""
import collections
import re
import shutil
import subprocess
import sys

COLUMNS = {"HMMA": ["HMMA"], "LDSM": ["LDSM"], "LDGSTS": ["LDGSTS"], "FFMA": ["FFMA"], "local": ["LDL", "STL"]}
FUNCTION = re.compile(r"Function : (\S+)")
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)")


def kernels_of(path):
    """{(architecture, mangled name): instructions by name}"""
    code = subprocess.run(["cuobjdump", "-sass", path], check=True, capture_output=True, text=True).stdout
    kernels, architecture, counts = {}, "", None
    for line in code.splitlines():
        if line.startswith("arch = "):
            architecture = line[7:].strip()
        elif found := FUNCTION.search(line):
            counts = kernels.setdefault((architecture, found[1]), collections.Counter())
        elif counts is not None and (found := INSTRUCTION.search(line)):
            counts[found[1]] += 1
    return kernels


def readable(names):
    if not shutil.which("c++filt"):
        return names
    told = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True, text=True).stdout
    plain = [re.sub(r"\(anonymous namespace\)::|metascale::|cuda::|chunked::|^void ", "", name)
             for name in told.splitlines()]
    return [name.split("(")[0] for name in plain]


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        sys.exit(0 if "--help" in sys.argv else 2)
    if not shutil.which("cuobjdump") or not shutil.which("nvdisasm"):
        print("not counted: cuobjdump and nvdisasm are not on PATH", file=sys.stderr)
        sys.exit(69)
    good = True
    print(f"{'kernel':<52} {'arch':<7} {'all':>6} " + " ".join(f"{column:>6}" for column in COLUMNS))
    for path in sys.argv[1:]:
        kernels = kernels_of(path)
        for name, ((architecture, _), counts) in zip(readable([name for _, name in kernels]), kernels.items()):
            numbers = [sum(counts[each] for each in names) for names in COLUMNS.values()]
            print(f"{name:<52} {architecture:<7} {sum(counts.values()):>6} " + " ".join(f"{n:>6}" for n in numbers))
            with_products = "chunked" in name or "on_tensor_cores" in name
            good &= not with_products or (counts["HMMA"] > 0 and counts["LDGSTS"] > 0)
            good &= not (with_products or "wkv7" in name) or "double" in name or numbers[-1] == 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
