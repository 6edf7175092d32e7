"""Fetches and unpacks Debian packages; nothing is installed and none of their programs is run."""
import glob
import hashlib
import json
import os
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


def check_lock(info, lock_file):
    with open(lock_file) as file:
        locked = json.load(file)
    for package, found in info.items():
        wanted = locked.get(package)
        if not wanted or wanted["sha256"] != found["sha256"]:
            sys.exit("package %s %s is not the one that %s names: the corpus would be another one"
                     % (package, found["version"], os.path.basename(lock_file)))
