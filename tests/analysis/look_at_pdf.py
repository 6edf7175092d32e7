"""What a PDF of one page draws, as JSON: {"pages": n, "colours": ["#d55e00", ...], "segments": n}.

usage: look_at_pdf.py FILE   FILE is what cairo writes: pages' drawing commands in deflated streams
"""
import json
import re
import sys
import zlib

file = open(sys.argv[1], "rb").read()
colours, segments = set(), 0
for packed in re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", file, re.S):
    drawing = zlib.decompressobj().decompress(packed)
    if not drawing.isascii():  # a font
        continue
    for red, green, blue in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) (?:rg|RG)\b", drawing):
        colours.add("#%02x%02x%02x" % tuple(round(255 * float(part)) for part in (red, green, blue)))
    segments += len(re.findall(rb" [lc]\b|\bre\b", drawing))
pages = len(re.findall(rb"/Type /Page\b(?!s)", file))
print(json.dumps({"pages": pages, "colours": sorted(colours), "segments": segments}))
