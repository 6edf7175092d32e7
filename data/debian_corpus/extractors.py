"""Extractors: functions of an unpacked package's folder that yield (key, text) of its documents."""
import glob
import gzip
import html
import os
import re
import struct
import zlib

from . import r_data

LONGEST_FILE = 8_000_000  # bytes
LEAST_TEXT = 200          # characters of a document


def decode(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def read_file(path):
    data = read_bytes(path)
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def matching_files(root, patterns):
    """Regular files in the order of patterns and names, each once."""
    seen = set()
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(root, pattern), recursive=True)):
            if path not in seen and os.path.isfile(path) and not os.path.islink(path):
                seen.add(path)
                yield path


def grouped(key, parts, size, join):
    """Joins parts to documents of at least size characters; the last one may be shorter."""
    group, length, number = [], 0, 0
    for part in parts:
        group.append(part)
        length += len(part)
        if length >= size:
            yield "%s.%d" % (key, number), join(group)
            group, length, number = [], 0, number + 1
    if group:
        yield "%s.%d" % (key, number), join(group)


def text_files(root, patterns, transform=str, exclude=None):
    for path in matching_files(root, patterns):
        name = os.path.relpath(path, root)
        if exclude and re.search(exclude, name):
            continue
        try:
            data = read_file(path)
        except OSError:  # no gzip in spite of its first bytes
            continue
        if b"\0" in data[:4096] or len(data) > LONGEST_FILE:
            continue
        text = transform(decode(data))
        if len(text) >= LEAST_TEXT:
            yield name, text


def files(*patterns, transform=str, exclude=None):
    return lambda root: text_files(root, patterns, transform, exclude)


def osis_chapters(text):
    text = re.sub(r"<note\b.*?</note>", "", text, flags=re.S)
    text = re.sub(r"<title\b[^>]*>(.*?)</title>", r"\n\n\1\n\n", text, flags=re.S)
    for part in re.split(r"<chapter\b[^>]*\bsID=[^>]*>", text):
        part = re.sub(r"<(?:lb|l|lg|p|row|item)\b[^>]*/?>|<div[^>]*type=\"x-p\"[^>]*>", "\n", part)
        part = html.unescape(re.sub(r"<[^>]*>", "", part))
        part = re.sub(r"[ \t]*\n[ \t]*", "\n", part)
        yield re.sub(r"\n{3,}", "\n\n", re.sub(r" {2,}", " ", part)).strip()


def sword(root):
    """SWORD zText and zCom modules: .bzs = (u32 offset, u32 stored, u32 length)*, .bzz = zlib blocks, OSIS."""
    for testament in ("ot", "nt"):
        pattern = root + "/usr/share/sword/modules/**/%s.bzz" % testament
        for path in sorted(glob.glob(pattern, recursive=True)):
            index, blocks = read_bytes(path[:-1] + "s"), read_bytes(path)
            for number in range(len(index) // 12):
                offset, compressed, _ = struct.unpack_from("<III", index, 12 * number)
                if not compressed:
                    continue
                text = zlib.decompress(blocks[offset:offset + compressed]).decode("utf-8", "replace")
                for chapter, part in enumerate(osis_chapters(text)):
                    if len(part) >= LEAST_TEXT:
                        yield "%s.%d.%d" % (testament, number, chapter), part + "\n"


BASE64 = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}


def dictd_number(digits):
    number = 0
    for digit in digits:
        number = number * 64 + BASE64[digit]
    return number


def dictd(name, group=2000):
    """dictd: .index has headword, base64 offset, base64 length; .dict.dz is gzip. Entries are joined."""
    def extract(root):
        data = gzip.decompress(read_bytes("%s/usr/share/dictd/%s.dict.dz" % (root, name)))
        entries = set()
        index = "%s/usr/share/dictd/%s.index" % (root, name)
        with open(index, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                fields = line.rstrip("\n").split("\t")
                if len(fields) >= 3 and not fields[0].startswith("00"):
                    entries.add((dictd_number(fields[1]), dictd_number(fields[2])))
        texts = (decode(data[offset:offset + length]).strip("\n") for offset, length in sorted(entries))
        yield from grouped(name, texts, group, lambda parts: "\n\n".join(parts) + "\n")
    return extract


def r_books(package):
    def extract(root):
        path = "%s/usr/lib/R/site-library/%s/data/Rdata.rdb" % (root, package)
        yield from r_data.books(package, read_bytes(path), decode)
    return extract


def fortunes(pattern):
    """Each fortune is a document."""
    def extract(root):
        for path in matching_files(root, ["usr/share/games/fortunes/" + pattern]):
            if path.endswith((".dat", ".u8")):
                continue
            for number, text in enumerate(re.split(r"\n%%?\n", decode(read_bytes(path)))):
                text = re.sub(r".\x08", "", text).strip("\n%")
                if len(text) >= 60:
                    yield "%s.%d" % (os.path.relpath(path, root), number), text + "\n"
    return extract


def metamath(database):
    """Labelled statement blocks of a Metamath database, joined to about 4 kB."""
    def extract(root):
        text = decode(read_bytes("%s/usr/share/metamath/databases/%s" % (root, database)))
        blocks = re.split(r"(?<=\$\.)\n(?=\s*\n)", text)
        yield from grouped(database, blocks, 4000, lambda parts: "".join(parts).strip("\n") + "\n")
    return extract


CHANGELOGS = ["usr/share/doc/*/changelog*", "usr/share/doc/*/NEWS*", "usr/share/doc/*/ChangeLog*"]


def changelogs(root):
    """Whole entries of changelogs and news, joined to about 4 kB; a rest below 200 characters is dropped."""
    for name, text in text_files(root, CHANGELOGS):
        if name.endswith(".html.gz"):
            continue
        entries = re.split(r"\n(?=\S)", text)
        for key, document in grouped(name, entries, 4000, lambda parts: parts):
            if sum(map(len, document)) >= LEAST_TEXT:
                yield key, "\n".join(document) + "\n"


def copyrights(root):
    yield from text_files(root, ["usr/share/doc/*/copyright"])
