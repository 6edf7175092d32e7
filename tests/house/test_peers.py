"""Scripts of bench/peers without their peers: each names what is missing and ends with exit code 69. Needs no peer."""
import importlib.util
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "bench" / "peers"
MISSING = {"fla_wkv7": "torch", "llm_c": "train_gpt2cu", "rwkv_lm_model": "torch", "rwkv_lm_wkv7": "torch",
           "tokenizers_throughput": "tokenizers", "torch_gpt": "torch"}
# As llm.c's program prints, with made-up numbers; its first steps, slower, do not count.
LOG = ("| precision             | BF16                                               |\n"
       "| num_parameters        | 125261568                                          |\n"
       + "".join(f"step {i:4}/8 | loss 10.9 (+nanz)| norm 15.3 (+nanz)| lr 1.00e-04 | {ms:.2f} ms | -100.0% bf16 MFU "
                 "| 400000 tok/s\n" for i, ms in enumerate([900, 90, 90, 90, 90, 80, 82, 81], 1)))


def check(what, good):
    if not good:
        sys.exit(f"{what}: wrong")


def check_absent(folder):
    found = {path.stem for path in FOLDER.glob("*.py")} - {"peer"}
    check(f"this test knows {sorted(MISSING)}, there are {sorted(found)}", found == set(MISSING))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for script, missing in MISSING.items():
        # -S: without the packages that are installed.
        more = ["--peer", f"{folder}/train_gpt2cu"] if script == "llm_c" else []
        done = subprocess.run([sys.executable, "-S", "-B", FOLDER / f"{script}.py", *more], env=environment,
                              capture_output=True, text=True)
        check(f"{script} ended with {done.returncode}, {done.stderr!r}",
              done.returncode == 69 and done.stderr.startswith("not measured: ") and missing in done.stderr)


def check_llm_c(folder):
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("llm_c", FOLDER / "llm_c.py")
    llm_c = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(llm_c)
    check("llm.c's log", llm_c.read_steps(LOG) == (81, 125261568, "BF16"))
    tokens = pathlib.Path(folder) / "tokens.bin"
    llm_c.write_tokens(tokens, 1001)
    content = tokens.read_bytes()
    header, ids = struct.unpack_from("<256i", content), struct.unpack_from("<1001H", content, 1024)
    check("the header of tokens", header == (20240520, 1, 1001) + 253 * (0,))
    check("the tokens", tokens.stat().st_size == 1024 + 2 * 1001 and max(ids) < 50257 and len(set(ids)) > 900)
    # By hand: 2 x (12 x 12 x 768^2 + 50304 x 768) and 12 x 2 x 768 x 1025, three times.
    check("FLOPs of a token", llm_c.flops_per_token(1024) == 3 * (2 * 123568128 + 18892800))


with tempfile.TemporaryDirectory() as empty:
    check_absent(empty)
    check_llm_c(empty)
