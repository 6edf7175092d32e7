"""Fetches and unpacks Debian packages; nothing is installed and none of their programs is run."""
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys


def run(*command, **options):
    """The standard output of a command; ends the program with what the command said if it fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, **options).stdout
    except FileNotFoundError:
        sys.exit("%s is not on PATH; install the package that has it" % command[0])
    except subprocess.CalledProcessError as error:
        sys.exit("%s failed: %s" % (" ".join(command[:3]), error.stderr.decode("utf-8", "replace").strip()))


def newest(cache, package):
    found = sorted(glob.glob("%s/debs/%s_*.deb" % (glob.escape(cache), package)))
    return found[-1] if found else None


def download(packages, cache):
    os.makedirs(cache + "/debs", exist_ok=True)
    missing = [package for package in packages if not newest(cache, package)]
    if missing:
        print("fetching %d packages" % len(missing), flush=True)
        run("apt-get", "download", "-q", *missing, cwd=cache + "/debs")


def unpack(package, cache):
    """Returns version, digest and size of the package."""
    archive, folder = newest(cache, package), "%s/x/%s" % (cache, package)
    os.makedirs(cache + "/x", exist_ok=True)
    if os.path.exists(folder + ".trimmed"):
        shutil.rmtree(folder, ignore_errors=True)
        os.remove(folder + ".trimmed")
    if not os.path.isdir(folder):
        aside = "%s.%d" % (folder, os.getpid())
        run("dpkg-deb", "-x", archive, aside)
        os.rename(aside, folder)
    with open(archive, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    version = run("dpkg-deb", "-f", archive, "Version").decode().strip()
    return {"version": version, "sha256": digest, "bytes": os.path.getsize(archive)}


def fetch(packages, cache):
    download(packages, cache)
    print("unpacking %d packages" % len(packages), flush=True)
    return {package: unpack(package, cache) for package in packages}


def drop_newer_entries(folder, version):
    """Debian changelogs in folder begin at that version again, as far as they name it. The package is unpacked
    anew by the next call."""
    with open(folder + ".trimmed", "w"):
        pass
    header = re.compile(rb"^\S+ \(%s\) " % re.escape(version).encode(), re.M)
    for path in glob.glob(os.path.join(glob.escape(folder), "usr/share/doc/*/changelog*")):
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            data = file.read()
        is_packed = data[:2] == b"\x1f\x8b"
        text = gzip.decompress(data) if is_packed else data
        found = header.search(text)
        if found and found.start():
            kept = text[found.start():]
            with open(path + ".aside", "wb") as file:
                file.write(gzip.compress(kept, mtime=0) if is_packed else kept)
            os.rename(path + ".aside", path)


def check_lock(info, lock_file, cache, digest_of):
    """Refuses packages that are not those of the lock file, unless their texts are: a point release of Debian
    replaces packages, and says in their changelogs what nothing else in them shows."""
    with open(lock_file) as file:
        locked = json.load(file)
    for package, found in info.items():
        wanted = locked.get(package)
        if wanted and wanted["sha256"] == found["sha256"]:
            continue
        if wanted and "texts" in wanted:
            drop_newer_entries("%s/x/%s" % (cache, package), wanted["version"])
            if digest_of(package) == wanted["texts"]:
                print("package %s is %s instead of %s, with the same texts"
                      % (package, found["version"], wanted["version"]), flush=True)
                continue
        advice = ("put its version %s of https://snapshot.debian.org/package/%s/ into %s/debs, in place of the one "
                  "there, and remove %s/x/%s" % (wanted["version"], package, cache, cache, package)
                  if wanted else "it is not in the lock file")
        sys.exit("package %s %s has other texts than the one that %s names, so the corpus would be another one; %s"
                 % (package, found["version"], os.path.basename(lock_file), advice))


def check_shards(shards, lock_file):
    """Refuses files whose text, uncompressed, is not that of the lock file: the same texts went in."""
    with open(lock_file) as file:
        locked = json.load(file).get("shards")
    found = {name: shard["raw_sha256"] for name, shard in shards.items()}
    if locked is None or found == locked:
        return
    others = sorted(name for name in set(found) | set(locked) if found.get(name) != locked.get(name))
    sys.exit("%s: the corpus is another one than %s names, though its packages have the same texts: a file there was "
             "changed, or this Python reads them otherwise; remove the folder of packages and build again, or leave "
             "--lock out for a corpus of your own" % (", ".join(others), os.path.basename(lock_file)))


def write_lock(info, lock_file, digest_of, shards=None):
    """What check_lock and check_shards read, of these packages and the files made of them."""
    locked = {package: dict(found, texts=digest_of(package)) for package, found in info.items()}
    if shards:
        locked["shards"] = {name: shard["raw_sha256"] for name, shard in shards.items()}
    with open(lock_file, "w") as file:
        json.dump(locked, file, indent=1, sort_keys=True)
        file.write("\n")
