"""Texts in the data sets of R packages: R's serialisation format, XDR, in a lazy-load database."""
import re
import struct
import zlib

LEAST_TEXT = 50_000  # characters of a vector of strings that is a book
CHAPTER = re.compile(r"\n(?=\s*(?:CHAPTER|Chapter|VOLUME|Volume)\s+[IVXLC\d]+)")

# Types of items [R internals, 1.8 "Serialization Formats"].
SYMBOL, PAIR_LIST, LANGUAGE, CHARACTERS, LOGICAL, INTEGER, REAL, STRINGS = 1, 2, 6, 9, 10, 13, 14, 16
LIST, EXPRESSION, RAW, ALTERNATIVE, REFERENCE = 19, 20, 24, 238, 255
SINGLETONS = (254, 253, 242, 241, 252, 251)  # NULL, global and empty environments, missing argument ...


class Reader:
    """Walks through one serialised object and keeps its vectors of strings."""

    def __init__(self, data, decode):
        self.data = data
        self.decode = decode
        self.found = []
        self.at = 14 if data[:2] == b"X\n" else 0
        if struct.unpack_from(">I", data, 2)[0] == 3:  # version 3 tells its encoding
            self.at += 4 + struct.unpack_from(">I", data, 14)[0]

    def integer(self):
        value = struct.unpack_from(">i", self.data, self.at)[0]
        self.at += 4
        return value

    def characters(self):
        length = self.integer()
        if length < 0:
            return ""
        text = self.data[self.at:self.at + length]
        self.at += length
        return self.decode(text)

    def pair(self, flags):
        if flags >> 9 & 1:
            self.item()  # attributes
        if flags >> 10 & 1:
            self.item()  # tag
        self.item()
        return self.item()

    def vector(self, kind):
        length = self.integer()
        if kind in (LOGICAL, INTEGER):
            self.at += 4 * length
        elif kind == REAL:
            self.at += 8 * length
        elif kind == STRINGS:
            self.found.append([self.item() for _ in range(length)])
        elif kind in (LIST, EXPRESSION):
            for _ in range(length):
                self.item()
        elif kind == RAW:
            self.at += length
        else:
            raise ValueError("R type %d" % kind)

    def item(self):
        flags = self.integer()
        kind = flags & 255
        if kind in SINGLETONS:
            return None
        if kind == REFERENCE:
            if flags >> 8 == 0:
                self.integer()
            return None
        if kind == SYMBOL:
            return self.item()
        if kind == CHARACTERS:
            return self.characters()
        if kind in (PAIR_LIST, LANGUAGE):
            return self.pair(flags)
        if kind == ALTERNATIVE:
            for _ in range(3):
                self.item()
            return None
        self.vector(kind)
        if flags >> 9 & 1:
            self.item()  # attributes
        return None


def books(package, database, decode):
    """Yields (key, text) of each chapter; database: the bytes of Rdata.rdb, u32BE raw length + zlib each."""
    at = number = 0
    while at < len(database) - 8:
        length = struct.unpack_from(">I", database, at)[0]
        decompressor = zlib.decompressobj()
        raw = decompressor.decompress(database[at + 4:])
        at = len(database) - len(decompressor.unused_data)
        if len(raw) != length:
            raise ValueError("%s: record %d has %d bytes, not %d" % (package, number, len(raw), length))
        reader = Reader(raw, decode)
        reader.item()
        for strings in reader.found:
            if sum(map(len, strings)) < LEAST_TEXT:
                continue
            for chapter, text in enumerate(CHAPTER.split("\n".join(strings))):
                if len(text) >= 200:
                    yield "%s.%d.%d" % (package, number, chapter), text.strip("\n") + "\n"
        number += 1
