"""What the scripts of this folder share: how to say that a peer is absent, our own rows, spreads, and the WKV7
operator's operands, reference and clock. Imports torch where it is used: not every peer needs it.
"""
import importlib
import json
import pathlib
import statistics
import subprocess
import sys
import time

LOCAL = pathlib.Path("build", "peers")  # what was brought along, beside what we build: git ignores it
SIZE = 64  # channels of a head
BATCH, TOKENS, HEADS = 16, 2048, 12  # of `metascale bench gpu`
DECAY_RATE = 0.6065306597126334  # e^{-1/2}
ROUNDING = 3e-2  # relative distance of a kernel in bf16 from f32, over a whole tensor


def not_measured(why):
    print(f"not measured: {why}", file=sys.stderr)
    sys.exit(69)


def needed(module, where):
    """The module, or the end of the script."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        not_measured(f"{error.name or module} is not installed ({where})")


def need_gpu():
    import torch
    if not torch.cuda.is_available():
        not_measured("PyTorch finds no GPU")


def need_file(path, what):
    if not pathlib.Path(path).exists():
        not_measured(f"{what} is not there: {path} (bench/peers/README.md says how to bring it along)")


def spread(values, form=".0f"):
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def bench(program, place, *arguments):
    """What `metascale bench` says as JSON."""
    try:
        done = subprocess.run([program, "bench", place, "--json", *arguments], capture_output=True, text=True)
    except OSError as error:
        not_measured(f"{program}: {error.strerror}")
    if done.returncode == 69:
        not_measured(done.stderr.strip())
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def bench_step(program, place, size, architecture, *arguments):
    """The training step of one model, with the batch and context that it had."""
    result = bench(program, place, "--only", "steps", "--size", size, "--architecture", architecture, *arguments)
    return {**result, **result["steps"][0]}


# The WKV7 operator. Kernels take the decay in one of these forms; each is made of the sigmoid's operand z.

def decay_of(form, z):
    import torch
    if form == "log":
        return -DECAY_RATE * torch.sigmoid(z)
    if form == "log of minus log":
        return torch.log(DECAY_RATE * torch.sigmoid(z))
    return z  # "logit"


def log_decay(form, w):
    import torch
    return {"log": lambda: w, "log of minus log": lambda: -torch.exp(w),
            "logit": lambda: -DECAY_RATE * torch.sigmoid(w)}[form]()


def operands(batch, tokens, heads, device, dtype, decay="log"):
    """r, decay, k, v, a, b of (batch, tokens, heads, SIZE); a and b as a removal key and its rate give them."""
    import torch
    generator = torch.Generator(device).manual_seed(1)

    def random(): return torch.randn(batch, tokens, heads, SIZE, generator=generator, device=device)
    key = torch.nn.functional.normalize(random(), dim=-1)
    all_of_them = random(), decay_of(decay, random()), 0.1 * random(), random(), -key, key * torch.sigmoid(random())
    return [x.to(dtype).contiguous().requires_grad_() for x in all_of_them]


def recurrence(r, log_w, k, v, a, b):
    """The reference: token by token, S of (value, key), S_t = S_{t-1} (diag(w_t) + a_t b_t^T) + v_t k_t^T."""
    import torch
    batch, tokens, heads, size = r.shape
    state, read = torch.zeros(batch, heads, size, size, dtype=r.dtype, device=r.device), []
    for t in range(tokens):
        removed = state @ a[:, t, :, :, None]
        state = (state * torch.exp(log_w[:, t, :, None]) + removed * b[:, t, :, None]
                 + v[:, t, :, :, None] * k[:, t, :, None])
        read.append((state @ r[:, t, :, :, None])[..., 0])
    return torch.stack(read, 1)


def largest_distance(form, device, dtype, decay="log"):
    """Of y and of all gradients from the recurrence in f32, each relative to its own size; a small case."""
    import torch
    given = operands(2, 64, 2, device, dtype, decay)
    exact = [x.detach().float().requires_grad_() for x in given]
    upstream = torch.randn(exact[3].shape, generator=torch.Generator(device).manual_seed(2), device=device).to(dtype)
    y = form(*given)
    y.backward(upstream)
    expected = recurrence(exact[0], log_decay(decay, exact[1]), *exact[2:])
    expected.backward(upstream.float())
    pairs = [(y, expected)] + [(mine.grad, its.grad) for mine, its in zip(given, exact)]
    # Not max(): it can lose a NaN.
    return torch.stack([(mine.float() - its).norm() / its.norm() for mine, its in pairs]).amax().item()


def must_agree(name, form, device, dtype, decay="log"):
    distance, most = largest_distance(form, device, dtype, decay), ROUNDING if str(dtype) == "torch.bfloat16" else 1e-3
    if not distance <= most:
        sys.exit(f"{name} differs from the recurrence by {distance:.2g} (at most {most}): "
                 "its interface has changed, mend this script")


def seconds_of(form, given, backward, wait):
    """The median of runs over about a second, the first of all not counted."""
    import torch
    times, begin = [], time.perf_counter()
    upstream = torch.ones_like(given[3])
    while time.perf_counter() - begin < 1 or len(times) < 4:
        for x in given:
            x.grad = None
        wait()
        start = time.perf_counter()
        y = form(*given)
        if backward:
            y.backward(upstream)
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def microseconds(form, given, wait):
    """Of a head and token: forward, and forward with backward."""
    head_tokens = given[0].numel() // SIZE
    return [1e6 * seconds_of(form, given, backward, wait) / head_tokens for backward in (False, True)]


def our_wkv7(program):
    """The same of our kernels on the GPU: the scan, and the chunked ones where the program has them."""
    result = bench(program, "gpu", "--only", "operators", "--family", "wkv7")
    found = {row["operator"]: 1e6 * row["seconds"] / (BATCH * TOKENS * HEADS) for row in result["operators"]}
    rows = {}
    for name, prefix in (("metascale, scan", "wkv7"), ("metascale, chunked", "wkv7 chunked")):
        forward, backward = found.get(f"{prefix} forward"), found.get(f"{prefix} backward")
        if forward is not None and backward is not None:
            rows[name] = [forward, forward + backward]
    return rows


def wkv7_in_turn(rounds, ours, theirs, wait):
    """ours: gives our rows, or None; theirs: name to (form, operands)."""
    rows = {}
    for _ in range(rounds):
        times = ours() if ours else {}
        times.update((name, microseconds(form, given, wait)) for name, (form, given) in theirs.items())
        for name, pair in times.items():
            rows.setdefault(name, []).append(pair)
    return rows


def print_wkv7(rows, where):
    """rows: name to (forward, forward + backward) of every round; ours over each peer beside it."""
    print(f"{where}, heads of {SIZE}: microseconds per head and token, medians [least, most]")
    ours = [name for name in rows if name.startswith("metascale")]
    print("| form | forward | forward + backward |" + "".join(f" time over {name}'s |" for name in ours))
    print("|---|---|---|" + "---|" * len(ours))
    for name, times in rows.items():
        cells = [spread(x, ".3g") for x in zip(*times)]
        cells += [spread([its[1] / mine[1] for its, mine in zip(times, rows[one])], ".2f") for one in ours]
        print(f"| {name} | {' | '.join(cells)} |")
