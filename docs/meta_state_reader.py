"""Reads a Meta-State model that `metascale export` wrote, and runs it token by token.

    python3 meta_state_reader.py FOLDER 256 84 104 101      # token ids; prints the likeliest next ones

Needs torch alone. Layout and letters: interop.md, model.md. RWKV-7 runs too (--format rwkv).
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F


def load_tensors(path):
    """Of a safetensors file: the length of a header, the header in JSON, the values, here all F32. (1, 1, D): D."""
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    values = torch.frombuffer(data, dtype=torch.float32, offset=begin)
    return {name: values[slice(*(offset // 4 for offset in it["data_offsets"]))].view(it["shape"][2:] or it["shape"])
            .double() for name, it in json.loads(data[8:begin]).items() if name != "__metadata__"}


def layer_norm(w, name, x):
    return F.layer_norm(x, x.shape, w[name + ".weight"], w[name + ".bias"], 1e-5)


class MetaState:
    def __init__(self, folder):
        self.config = json.loads(pathlib.Path(folder, "config.json").read_text())
        self.w = load_tensors(pathlib.Path(folder, "model.safetensors"))
        self.L, self.D, self.H, self.N = (self.config[name] for name in ("layers", "width", "heads", "head_size"))
        shapes = dict(S=(self.H, self.N, self.N), att=(self.D,), ffn=(self.D,))
        self.state = [{key: torch.zeros(shapes[key], dtype=torch.double) for key in shapes} for _ in range(self.L)]

    def heads(self, x):
        return x.view(self.H, self.N)

    def low_rank(self, n, letter, x, act=lambda h: h):
        return act(x @ self.w[n + letter + "1"]) @ self.w[n + letter + "2"]

    def time_mix(self, layer, x, v_first):
        """out (D), v_first (A), the normalised read-out (H, N), the state before this token (H, N, N)."""
        w, n, state = self.w, f"blocks.{layer}.att.", self.state[layer]
        x_r, x_w, x_k, x_v, x_a, x_g = (x + (state["att"] - x) * w[n + "x_" + m] for m in "rwkvag")
        state["att"] = x
        r, k, v = (w[n + name + ".weight"] @ y for name, y in (("receptance", x_r), ("key", x_k), ("value", x_v)))
        decay = torch.exp(-0.6065306597126334 * torch.sigmoid(w[n + "w0"] + self.low_rank(n, "w", x_w, torch.tanh)))
        rate = torch.sigmoid(w[n + "a0"] + self.low_rank(n, "a", x_a))
        gate = self.low_rank(n, "g", x_g, torch.sigmoid)
        v_first = v if layer == 0 else v_first
        if layer > 0:
            v = v + (v_first - v) * torch.sigmoid(w[n + "v0"] + self.low_rank(n, "v", x_v))
        kappa = F.normalize(self.heads(k * w[n + "k_k"]), dim=1, eps=1e-12)
        k = self.heads(k * (1 + (rate - 1) * w[n + "k_a"]))
        r, v, decay, rate = self.heads(r), self.heads(v), self.heads(decay), self.heads(rate)
        before = state["S"]
        removed = torch.einsum("hij,hj->hi", before, -kappa)
        state["S"] = before * decay[:, None, :] + removed[:, :, None] * (kappa * rate)[:, None, :] \
            + v[:, :, None] * k[:, None, :]
        yhat = F.layer_norm(torch.einsum("hij,hj->hi", state["S"], r), (self.N,), eps=self.N * 1e-5)
        out = yhat * self.heads(w[n + "ln_x.weight"]) + self.heads(w[n + "ln_x.bias"])
        out = out + (r * k * w[n + "r_k"]).sum(1, keepdim=True) * v
        return w[n + "output.weight"] @ (out.reshape(-1) * gate), v_first, yhat, before

    def feed_forward(self, layer, c, yhat, before):
        """The Meta-State layer: the state is read a second time, with the layer's own input as the query."""
        w, n, state = self.w, f"blocks.{layer}.ffn.", self.state[layer]
        z = c + (state["ffn"] - c) * w[n + "x_k"]
        state["ffn"] = c
        if n + "sse_gamma" in w:
            gamma, blocks = w[n + "sse_gamma"], self.D // self.N
            shifted, added = z.view(blocks, self.N), torch.zeros(blocks, self.N, dtype=torch.double)
            for h in range(gamma.shape[0]):
                e = yhat[h]
                if self.config["read_out"] == "state":
                    q = shifted[h % blocks]
                    S = before[h] if self.config["read_state"] == "previous" else state["S"][h]
                    e = F.layer_norm(S @ (q / torch.sqrt(q @ q + 1e-6)), (self.N,), eps=1e-5)
                added[h % blocks] += gamma[h] * e
            z = (shifted + added).reshape(-1)
        return w[n + "value.weight"] @ torch.relu(w[n + "key.weight"] @ z) ** 2

    def read(self, token):
        """Logits (V) of the token behind this one."""
        x, v_first = layer_norm(self.w, "blocks.0.ln0", self.w["emb.weight"][token]), None
        for layer in range(self.L):
            n = f"blocks.{layer}."
            out, v_first, yhat, before = self.time_mix(layer, layer_norm(self.w, n + "ln1", x), v_first)
            x = x + out
            x = x + self.feed_forward(layer, layer_norm(self.w, n + "ln2", x), yhat, before)
        return self.w["head.weight"] @ layer_norm(self.w, "ln_out", x)


if __name__ == "__main__":
    model = MetaState(sys.argv[1]) if len(sys.argv) > 2 else sys.exit(__doc__)
    for token in map(int, sys.argv[2:]):
        logits = model.read(token)
    for value, token in zip(*torch.topk(torch.log_softmax(logits, 0), 5)):
        print(int(token), round(float(value), 6))
