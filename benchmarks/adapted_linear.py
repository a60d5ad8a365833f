"""One linear layer with a LoRA, beside libtorch and the machine's limits.

  ./bazelw run //benchmarks:adapted_linear -- [--rounds 7] [--svg FILE]
      [--lines FILE] [--dtype f32|bf16] [--threads N] [--size N]

Prints tables of how much of the machine's limit each side reaches: the larger
of (bytes of the weights / measured read rate) and (FLOPs / measured peak),
divided by the time. libtorch does what PEFT does: the layer, two linears more,
a product and a sum. With --svg it draws them, too.

The last three options measure a part. --lines adds what is measured to a file
and shows all that the file holds, so that parts make one table.
"""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys

COLORS = ("#0b5fff", "#c4460c", "#11805a", "#8a2be2", "#b8860b", "#444444")
WIDTH, HEIGHT, MARGIN = 360, 240, 48
RANK = 16  # of the plot
# What is shown of each dtype. libtorch's activations are bf16 where the weights
# are, as ours are if rounded.
SIDES = {"f32": ("ours", "torch"), "bf16": ("ours", "rounded", "torch")}
NAMES = {"ours": "ours", "rounded": "ours rounded", "torch": "libtorch's"}
DASHES = {"ours": "", "rounded": ' stroke-dasharray="1 3"',
          "torch": ' stroke-dasharray="6 3"'}


def measure(runner, options):
    results = []
    with subprocess.Popen([runner, *options], stdout=subprocess.PIPE,
                          text=True) as child:
        for line in child.stdout:
            results.append(json.loads(line))
            print(f"\r{len(results)} measured", end="", file=sys.stderr)
    print(file=sys.stderr)
    if child.returncode != 0:
        sys.exit(f"{runner} failed")
    return results


def runner_options(arguments):
    options = [f"--rounds={arguments.rounds}"] + ["--quick"] * arguments.quick
    for name in ("dtype", "threads", "size"):
        value = getattr(arguments, name)
        if value:
            options.append(f"--{name}={value}")
    return options


def with_earlier(results, path):
    """Adds to the file of earlier parts; returns all, the last of each case."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(r) + "\n" for r in results)
    keys = ("dtype", "threads", "size", "rank", "rows")
    cases = {tuple(r[k] for k in keys): r for r in
             map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    order = {"f32": 0, "bf16": 1}
    # Sizes at the usual rank first, then other ranks.
    return sorted(cases.values(), key=lambda r: (
        order[r["dtype"]], r["threads"], r["rank"] != RANK, r["rank"],
        r["size"], r["rows"]))


def share(result, side):
    """Percent of the limit."""
    return 100 * result["limit"] / result[side]


def print_tables(results):
    """A table for each dtype and number of threads."""
    keys = ("dtype", "threads")
    for key, group in itertools.groupby(results,
                                        lambda r: tuple(r[k] for k in keys)):
        group = list(group)
        rows = sorted({r["rows"] for r in group})
        sides = SIDES[key[0]]
        print(f"\n{key[0]}, {key[1]} threads: percent of the limit, "
              f"{' / '.join(NAMES[side] for side in sides)}; then libtorch's "
              "time / ours\n")
        print("| d, r | " + " | ".join(f"{r} rows" for r in rows) + " |")
        print("|---" * (len(rows) + 1) + "|")
        for shape in dict.fromkeys((r["size"], r["rank"]) for r in group):
            cells = [" / ".join(f"{share(r, side):.0f}" for side in sides)
                     + f"; {r['torch'] / r[sides[-2]]:.2g}"
                     for r in group if (r["size"], r["rank"]) == shape]
            print(f"| {shape[0]}, {shape[1]} | " + " | ".join(cells) + " |")
    for dtype in dict.fromkeys(r["dtype"] for r in results):
        worst = max(r["difference"] for r in results if r["dtype"] == dtype)
        print(f"\nlargest difference of the two sides' results, {dtype}: "
              f"{worst:.1e}")


def _line(points, color, dashes):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{path}" fill="none" stroke="{color}" '
            f'stroke-width="1.6"{dashes}/>')


def _panel(results, title, left, top):
    """One plot: percent of the limit over rows, a line for each size."""
    rows = sorted({r["rows"] for r in results})
    sizes = sorted({r["size"] for r in results})

    def x_of(row):
        return left + MARGIN + (WIDTH - 2 * MARGIN) * rows.index(row) / max(
            1, len(rows) - 1)

    def y_of(percent):
        return top + HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * min(
            percent, 110) / 110

    parts = [f'<text x="{left + MARGIN}" y="{top + 28}" font-size="13" '
             f'font-weight="bold">{title}</text>']
    for percent in (0, 25, 50, 75, 100):
        y = y_of(percent)
        parts.append(f'<line x1="{x_of(rows[0])}" x2="{x_of(rows[-1])}" '
                     f'y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left + MARGIN - 8}" y="{y + 4:.1f}" '
                     f'text-anchor="end">{percent} %</text>')
    for row in rows:
        parts.append(f'<text x="{x_of(row):.1f}" y="{top + HEIGHT - 28}" '
                     f'text-anchor="middle">{row}</text>')
    for size, color in zip(sizes, COLORS):
        mine = [r for r in results if r["size"] == size]
        for side in SIDES[results[0]["dtype"]]:
            parts.append(_line([(x_of(r["rows"]), y_of(share(r, side)))
                                for r in mine], color, DASHES[side]))
    return parts


def draw(results, path):
    """Panels for each dtype and number of threads, at one rank."""
    chosen = [r for r in results if r["rank"] == RANK]
    keys = list(dict.fromkeys((r["dtype"], r["threads"]) for r in chosen))
    sizes = sorted({r["size"] for r in chosen})
    height = HEIGHT * ((len(keys) + 1) // 2) + 60
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" '
             f'height="{height}" font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    for i, key in enumerate(keys):
        parts += _panel(
            [r for r in chosen if (r["dtype"], r["threads"]) == key],
            f"{key[0]}, {key[1]} thread{'s' if key[1] > 1 else ''}",
            WIDTH * (i % 2), HEIGHT * (i // 2))
    for i, (size, color) in enumerate(zip(sizes, COLORS)):
        x = MARGIN + 100 * i
        parts.append(f'<line x1="{x}" x2="{x + 22}" y1="{height - 44}" '
                     f'y2="{height - 44}" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 28}" y="{height - 40}">d = {size}</text>')
    parts.append(f'<text x="{MARGIN}" y="{height - 16}">percent of the '
                 f"machine's limit over rows, r = {RANK}; solid: this SDK, "
                 'dotted: with rounded activations, dashed: libtorch'
                 '</text></svg>')
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runner", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true",
                        help="a few small cases only")
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--lines", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("f32", "bf16"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    results = measure(arguments.runner, runner_options(arguments))
    if arguments.lines:
        results = with_earlier(results, arguments.lines)
    print_tables(results)
    if arguments.svg:
        draw(results, arguments.svg)


if __name__ == "__main__":
    main()
