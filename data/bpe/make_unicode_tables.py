#!/usr/bin/env python3
"""Writes unicode_{classes,compositions,decompositions}.cpp beside this file, from unicode_tables.json beside it.

unicode_tables.json: "class" [first, last, class] with 0 other, 1 letter, 2 number, 3 White_Space, 9 surrogate, as
Unicode 16 has them (what the reference tokenizer's \\p{L}, \\p{N} and \\s match); "ccc" [first, last, canonical
combining class], "decomp" {code point: full canonical decomposition} and "comp" [first, second, composed] of Unicode
9.0 (what its NFC does). Hangul is algorithmic and not in the tables.
"""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = """// {what}
// Made by make_unicode_tables.py; not to be edited.
#include "data/bpe/unicode_tables.hpp"

namespace metascale {{
namespace {{

// clang-format off
"""


def table(kind, name, rows):
    lines, line = [], ""
    for row in rows:
        if len(line) + len(row) + 1 > 99:
            lines.append(line)
            line = ""
        line += row + ","
    lines.append(line)
    return "constexpr %s %s[] = {\n%s};\n" % (kind, name, "\n".join(lines))


def write(name, what, tables, functions):
    with open(os.path.join(HERE, name), "w") as file:
        file.write(HEAD.format(what=what) + "\n".join(tables) + "// clang-format on\n\n}  // namespace\n\n")
        file.write("\n".join(functions) + "\n\n}  // namespace metascale\n")


def accessor(kind, function, name):
    return "std::span<const %s> %s() { return %s; }" % (kind, function, name)


def main():
    source = json.load(open(os.path.join(HERE, "unicode_tables.json")))

    classes, last = [], None
    for first, _, kind in source["class"]:
        kind = 0 if kind == 9 else kind
        if kind != last:
            classes.append("0x%x" % (first << 2 | kind))
        last = kind
    write("unicode_classes.cpp", "Where each class of characters begins [Unicode 16].",
          [table("std::uint32_t", "class_begins", classes)],
          [accessor("std::uint32_t", "unicode_class_begins", "class_begins")])

    ccc = ["{0x%x,0x%x,%d}" % tuple(row) for row in source["ccc"]]
    pairs = ["{0x%x,0x%x,0x%x}" % tuple(row) for row in source["comp"]]
    composed = {row[2] for row in source["comp"]}
    others = []
    for code, parts in sorted((int(code), parts) for code, parts in source["decomp"].items()):
        if code not in composed:
            others.append("{0x%x,{%s}}" % (code, ",".join("0x%x" % part for part in parts)))
    write("unicode_compositions.cpp", "Combining classes and compositions [Unicode 9.0].",
          [table("CombiningRange", "combining", ccc), table("CompositionPair", "pairs", pairs)],
          [accessor("CombiningRange", "unicode_combining_ranges", "combining"),
           accessor("CompositionPair", "unicode_composition_pairs", "pairs")])
    write("unicode_decompositions.cpp", "Decompositions that no composition takes back [Unicode 9.0].",
          [table("FullDecomposition", "others", others)],
          [accessor("FullDecomposition", "unicode_other_decompositions", "others")])


if __name__ == "__main__":
    main()
