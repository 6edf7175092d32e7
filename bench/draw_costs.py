#!/usr/bin/env python3
"""Draws how time and memory of training grow with the model, its batch and its context, by gnuplot.

usage: draw_costs.py STEP.json CONTEXT.json OUT.svg
  STEP.json     of `metascale bench step --json`
  CONTEXT.json  of `metascale bench context --only training --json`

Dots are medians, bars reach from the fastest to the slowest step (of context: where the median lies). Grey dashes
are what is in proportion.
"""
import json
import shutil
import subprocess
import sys

COLOURS = {"transformer": "#0072b2", "transformer_pp": "#56b4e9", "rwkv7": "#d55e00", "meta_state": "#009e73"}
MICRO, MIB, KIB = 1e6, 1 / 2**20, 1 / 2**10


def rows_of(points, key, cost, spread, factor):
    """x, y, low, high of a curve's points."""
    rows = []
    for point in points:
        low, high = point[spread] if spread else (point[cost], point[cost])
        rows.append((point[key], *(factor * value for value in (point[cost], low, high))))
    return rows


def panels(step, context):
    """(title, x, y, {architecture: rows}, exponent of the dashes)"""
    def of_step(grows, cost, spread, factor):
        return {curve["architecture"]: rows_of(curve["points"], "size", cost, spread, factor)
                for curve in step["curves"] if curve["grows"] == grows}

    def of_context(cost, spread, factor):
        return {model["architecture"]: rows_of(model["training"]["points"], "tokens", cost, spread, factor)
                for model in context["models"]}

    time, spread = "seconds_per_token", "seconds_spread"
    return [("Time by the model", "parameters", "\u00b5s per token", of_step("parameters", time, spread, MICRO), 1),
            ("Time by the batch", "tokens of a batch", "\u00b5s per token", of_step("batch", time, spread, MICRO), 0),
            ("Time by the context", "tokens of a window", "\u00b5s per token", of_context(time, spread, MICRO), 0),
            ("Memory by the model", "parameters", "MiB", of_step("parameters", "resident_bytes", None, MIB), 1),
            ("Memory by the batch", "tokens of a batch", "MiB", of_step("batch", "resident_bytes", None, MIB), 0),
            ("Memory by the context", "tokens of a window", "KiB per token",
             of_context("planned_bytes", None, KIB), 0)]


def dashes_of(curves, exponent):
    first = next(iter(curves.values()))
    last = max(rows[-1][0] for rows in curves.values())
    x, y = first[0][0], first[0][1]
    return f"({y} * (x / {x}.0) ** {exponent})", x, last


def script_of(out, drawn):
    lines = ['set terminal svg size 1080,720 font "Helvetica,13" background "white"', f"set output '{out}'",
             "set multiplot layout 2,3 margins 0.07,0.985,0.155,0.955 spacing 0.08,0.16",
             "set logscale xy", "set grid lc rgb '#e0e0e0' lt 1", "set border 3", "set tics nomirror",
             "unset mxtics", "unset mytics", "unset key"]
    for number, (title, x, y, curves, exponent) in enumerate(drawn):
        values = [row[1] for rows in curves.values() for row in rows]
        lines += [f"$d{number}_{name} << end\n" + "\n".join(" ".join(f"{value:.6g}" for value in row) for row in rows) +
                  "\nend" for name, rows in curves.items()]
        law, first, last = dashes_of(curves, exponent)
        if number == len(drawn) - 1:
            lines.append("set key at screen 0.52,0.04 center maxrows 1 samplen 2 width 1")
        lines += [f"set title '{title}' offset 0,-0.6", f"set xlabel '{x}' offset 0,0.4", f"set ylabel '{y}' offset 0.3",
                  f"set xtics ({tics_of(first, last, x)})", f"set ytics ({tics_of(1, 1e4, y)})",
                  f"set yrange [{min(values) / 1.8:.6g}:{max(values) * 1.8:.6g}]",
                  f"plot [{first / 1.2}:{last * 1.2}] {law} with lines lc rgb '#999999' dt 2 title 'in proportion', " +
                  ", ".join(f"$d{number}_{name} using 1:2:3:4 with yerrorlines lc rgb '{COLOURS[name]}' pt 7 ps 0.4 lw 1.5 "
                            f"title '{name.replace('_', ' ')}'" for name in curves)]
    return "\n".join(lines) + "\nunset multiplot\n"


def tics_of(first, last, axis):
    """Powers of 4 for tokens, 1, 2 and 5 for the rest, as gnuplot takes them."""
    if axis.startswith("tokens"):
        values = [4**power for power in range(4, 12)]
        words = [str(value) if value < 1024 else f"{value // 1024}k" for value in values]
    else:
        values = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
        words = [f"{value // 10**6}M" if value >= 10**6 else f"{value // 1000}k" if value >= 1000 else str(value)
                 for value in values]
    return ", ".join(f"'{word}' {value}" for word, value in zip(words, values) if first / 1.2 <= value <= last * 1.2)


def main():
    if len(sys.argv) != 4 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        sys.exit(0 if "--help" in sys.argv else 2)
    if not shutil.which("gnuplot"):
        print("not drawn: gnuplot is not installed (Debian: gnuplot-nox)", file=sys.stderr)
        sys.exit(69)
    with open(sys.argv[1]) as step, open(sys.argv[2]) as context:
        drawn = panels(json.load(step), json.load(context))
    subprocess.run(["gnuplot"], input=script_of(sys.argv[3], drawn), text=True, check=True)


if __name__ == "__main__":
    main()
