"""A package that is replaced serves a locked corpus as long as its texts are those of the lock file.
usage: check_locked_texts.py SCRIPTS FOLDER"""
import gzip
import json
import os
import sys

sys.dont_write_bytecode = True
scripts, cache = sys.argv[1:]
sys.path.insert(0, scripts)
from debian_corpus import build, packages  # noqa: E402

PACKAGE = "base-files"
FOLDER = "%s/x/%s" % (cache, PACKAGE)
DOCUMENTS = "%s/usr/share/doc/%s" % (FOLDER, PACKAGE)
LICENCE = FOLDER + "/usr/share/common-licenses/MIT"
OLD = "".join("base-files (%d) stable; urgency=medium\n\n%s\n\n" % (i, "  * A change of some words.\n" * 20)
              for i in (12, 11, 10))
NEW = "base-files (13) stable; urgency=medium\n\n  * A point release.\n\n" + OLD


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with (gzip.open if path.endswith(".gz") else open)(path, "wt") as file:
        file.write(text)


def digest(package):
    return build.texts_digest("small", cache, package)


def refusal(found):
    try:
        packages.check_lock({PACKAGE: found}, cache + "/lock.json", cache, digest)
    except SystemExit as refused:
        return str(refused)
    return ""


write(DOCUMENTS + "/changelog.gz", OLD)
write(LICENCE, "A licence. " * 40)
packages.write_lock({PACKAGE: {"sha256": "a", "version": "12"}}, cache + "/lock.json", digest)
with open(cache + "/lock.json") as file:
    locked = json.load(file)[PACKAGE]
assert not refusal({"sha256": "a", "version": "12"})
assert not os.path.exists(FOLDER + ".trimmed")

write(DOCUMENTS + "/changelog.gz", NEW)
assert digest(PACKAGE) != locked["texts"]
assert not refusal({"sha256": "b", "version": "13"})
assert digest(PACKAGE) == locked["texts"]  # what the corpus is built of
assert os.path.exists(FOLDER + ".trimmed")  # so that it is unpacked anew by the next call

write(LICENCE, "Another licence. " * 40)
words = refusal({"sha256": "b", "version": "13"})
assert "base-files 13 has other texts" in words and "version 12 of https://snapshot.debian.org" in words, words
SHARDS = {"val.jsonl.zst": {"raw_sha256": "a"}, "train-000.jsonl.zst": {"raw_sha256": "b"}}


def refused_shards(shards):
    try:
        packages.check_shards(shards, cache + "/lock.json")
    except SystemExit as refused:
        return str(refused)
    return ""


assert not refused_shards(SHARDS)  # a lock file of before 2026-11-22 names none
packages.write_lock({PACKAGE: {"sha256": "a", "version": "12"}}, cache + "/lock.json", digest, SHARDS)
assert not refused_shards(SHARDS)
assert not refusal({"sha256": "a", "version": "12"})
words = refused_shards(dict(SHARDS, **{"val.jsonl.zst": {"raw_sha256": "c"}}))
assert words.startswith("val.jsonl.zst: the corpus is another one than lock.json names"), words
assert "train-000.jsonl.zst" in refused_shards({"val.jsonl.zst": {"raw_sha256": "a"}})
print("held")
