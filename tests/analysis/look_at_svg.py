"""What of a figure's SVG lies outside its page, as JSON: a list of words, empty where nothing does.

usage: look_at_svg.py FILE   FILE is what gnuplot writes: texts at an anchor, in groups that are moved
"""
import json
import re
import sys
from xml.etree import ElementTree

letter = 0.6  # mean width of DejaVu Sans, in its height
root = ElementTree.parse(sys.argv[1]).getroot()
wide, high = map(float, root.get("viewBox").split()[2:])
outside = []


def check(what, points):
    if any(x < 0 or x > wide or y < 0 or y > high for x, y in points):
        outside.append(what)


def words_of(group, text):
    size = float(group.get("font-size"))
    length = letter * size * len(text)
    start = {"start": 0, "middle": -length / 2, "end": -length}[group.get("text-anchor", "start")]
    moved = re.match(r"translate\(([-\d.]+),([-\d.]+)\)( rotate\(([-\d.]+)\))?", group.get("transform"))
    x, y = float(moved[1]), float(moved[2])
    upright = bool(moved[4]) and abs(float(moved[4])) > 45
    ends = [(start, 0), (start + length, -0.7 * size)]
    check(text, [(x + b, y - a) if upright else (x + a, y + b) for a, b in ends])


for group in root.iter("{http://www.w3.org/2000/svg}g"):
    for text in group.findall("{http://www.w3.org/2000/svg}text"):
        words_of(group, "".join(text.itertext()).strip())
    for path in group.findall("{http://www.w3.org/2000/svg}path"):
        numbers = [float(part) for part in re.findall(r"-?[\d.]+", path.get("d"))]
        check("path " + path.get("d")[:60], list(zip(numbers[::2], numbers[1::2])))
print(json.dumps(outside))
