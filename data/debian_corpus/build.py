"""From unpacked packages to documents, splits and files. Every choice is a function of sha256(text)."""
import glob
import hashlib
import io
import json
import os
import re
from collections import namedtuple

from .packages import run
from .recipe import RECIPE

CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
LONGEST_DOCUMENT = {"small": 30_000, "full": 200_000, "max": 200_000}  # characters

Document = namedtuple("Document", "digest subset bytes text")


def packages_of(tier):
    return sorted({package for _, _, sources in RECIPE for package, _, tiers in sources
                   if tier in tiers and package != "*"})


def texts_digest(tier, cache, package):
    """Of all texts that the recipe takes from a package, before they are cut and chosen from."""
    digest = hashlib.sha256()
    for _, _, sources in RECIPE:
        for name, extract, tiers in sources:
            if tier in tiers and name in (package, "*"):
                for _, text in extract("%s/x/%s" % (cache, package)):
                    data = clean(text).encode("utf-8", "replace")
                    digest.update(b"%d\n" % len(data) + data)
    return digest.hexdigest()


def clean(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return CONTROL.sub("", text)


def pieces(text, most):
    """Documents above `most` characters are cut at blank lines, else at lines."""
    while len(text) > most:
        cut = text.rfind("\n\n", most // 2, most)
        cut = cut + 2 if cut > 0 else (text.rfind("\n", most // 2, most) + 1 or most)
        yield text[:cut]
        text = text[cut:]
    if text.strip():
        yield text


class Builder:
    def __init__(self, tier, cache):
        self.tier = tier
        self.cache = cache
        self.packages = packages_of(tier)
        self.seen = set()   # first halves of digests: a text is taken once
        self.sources = {}   # subset -> package -> [bytes, documents] before budgets

    def documents_of(self, subset, package, extract):
        """The new documents of a package."""
        for _, whole in extract("%s/x/%s" % (self.cache, package)):
            for text in pieces(clean(whole), LONGEST_DOCUMENT[self.tier]):
                data = text.encode("utf-8", "replace")
                digest = hashlib.sha256(data).digest()
                if digest[:16] not in self.seen:
                    self.seen.add(digest[:16])
                    yield Document(digest, subset, len(data), text)

    def extract(self, subset, sources):
        documents = []
        for name, extract, tiers in sources:
            if self.tier not in tiers:
                continue
            count = self.sources.setdefault(subset, {}).setdefault(name, [0, 0])
            for package in self.packages if name == "*" else [name]:
                for document in self.documents_of(subset, package, extract):
                    count[0] += document.bytes
                    count[1] += 1
                    documents.append(document)
        return documents

    def within_budget(self, documents, budget):
        """Those with the smallest digests, as many as fit."""
        total, kept = 0, []
        for document in sorted(documents, key=lambda document: document.digest):
            if budget is None or total + document.bytes <= budget * 1e6:
                total += document.bytes
                kept.append(document)
        return kept

    def all_documents(self):
        kept = []
        for subset, budget, sources in RECIPE:
            print("reading %s" % subset, flush=True)
            kept += self.within_budget(self.extract(subset, sources), budget.get(self.tier))
        return kept


def split(documents, shares):
    """shares: {"val": share, "test": share} of the bytes of each subset. In the order of bytes 8..15 of the
    digest, documents go to val until it has its share, then to test, the rest to train; the order within a
    split is that of bytes 16..31."""
    splits = {"train": [], "val": [], "test": []}
    for subset in dict.fromkeys(document.subset for document in documents):
        members = sorted((d for d in documents if d.subset == subset), key=lambda d: d.digest[8:])
        total, bytes_of = sum(d.bytes for d in members), dict.fromkeys(splits, 0)
        for document in members:
            name = next((s for s in ("val", "test") if bytes_of[s] < shares[s] * total), "train")
            bytes_of[name] += document.bytes
            splits[name].append(document)
    for members in splits.values():
        members.sort(key=lambda document: document.digest[16:])
    return splits


class ShardWriter:
    def __init__(self, folder, shard_bytes):
        self.folder = folder
        self.shard_bytes = shard_bytes
        self.shards = {}  # file -> sizes and digest

    def write(self, split_name, documents):
        """train is cut into shards of about shard_bytes, the others are one file each."""
        raw, number = io.BytesIO(), 0
        for document in documents:
            row = {"text": document.text, "meta": {"pile_set_name": document.subset}}
            raw.write(json.dumps(row).encode() + b"\n")
            if split_name == "train" and raw.tell() >= self.shard_bytes:
                self.finish(split_name, number, raw.getvalue())
                raw, number = io.BytesIO(), number + 1
        if raw.tell():
            self.finish(split_name, number, raw.getvalue())

    def finish(self, split_name, number, raw):
        name = ("train-%03d" % number if split_name == "train" else split_name) + ".jsonl.zst"
        compressed = run("zstd", "-q", "-12", "-T1", "-c", input=raw)
        write_aside(os.path.join(self.folder, name), compressed)
        self.shards[name] = {"raw_bytes": len(raw), "zst_bytes": len(compressed),
                             "raw_sha256": hashlib.sha256(raw).hexdigest()}


def remove_other_shards(folder, shards):
    """Shards of an earlier, larger corpus would be taken for part of this one."""
    for path in glob.glob(os.path.join(glob.escape(folder), "train-[0-9]*.jsonl.zst")):
        if os.path.basename(path) not in shards:
            os.remove(path)


def write_aside(path, data):
    """The file is whole or not there."""
    aside = "%s.%d" % (path, os.getpid())
    with open(aside, "wb") as file:
        file.write(data)
    os.rename(aside, path)


def count(documents):
    """Documents, bytes and characters, whole and by subset."""
    subsets = {}
    for document in documents:
        entry = subsets.setdefault(document.subset, {"docs": 0, "bytes": 0, "chars": 0})
        entry["docs"] += 1
        entry["bytes"] += document.bytes
        entry["chars"] += len(document.text)
    return {"docs": len(documents), "bytes": sum(d.bytes for d in documents),
            "subsets": dict(sorted(subsets.items()))}
