"""Sums of `run`: updates of equal compute, and the table and picture of what they came to.

    table.py updates OBJECTIVE UPDATES     updates of OBJECTIVE that cost what UPDATES of rtd cost
    table.py table OUTPUT UPDATES ...

Cost is counted in multiply-accumulates of forward passes, which training takes three times: of a token, its matrices once and
attention over the sequence; of the 15 % that are predicted, the matrix of the whole vocabulary.
"""

import json
import math
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).parent
SETTINGS = tomllib.loads((HERE / "pretrain.toml").read_text())
MODEL = SETTINGS["model"]
VOCABULARY = 30522
LENGTH = SETTINGS["data"]["sequence_length"]
TOKENS = LENGTH * SETTINGS["training"]["batch_size"]


def encoder(width, feed_forward, layers):
    of_layer = 4 * width * width + 2 * width * feed_forward + 2 * LENGTH * width
    projection = 0 if width == MODEL["embedding_size"] else MODEL["embedding_size"] * width
    return projection + layers * of_layer


def macs_of_token(objective):
    """Multiply-accumulates of the forward passes over one token."""
    width, embedding = MODEL["hidden_size"], MODEL["embedding_size"]
    whole = encoder(width, MODEL["intermediate_size"], MODEL["num_hidden_layers"])
    predict = lambda width: 0.15 * (width * embedding + embedding * VOCABULARY)
    if objective == "mlm":
        return whole + predict(width)
    quarter = encoder(width // 4, MODEL["intermediate_size"] // 4, SETTINGS["generator"]["num_hidden_layers"])
    judge = (width * width + width) * (0.15 if objective == "rtd-15" else 1)
    return whole + judge + quarter + predict(width // 4)


def updates(objective, of_rtd):
    return round(of_rtd * macs_of_token("rtd") / macs_of_token(objective))


def interval(values):
    """Mean and the half width of its 95 % interval by Student's t, for up to six seeds."""
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((it - mean) ** 2 for it in values) / (len(values) - 1))
    quantile = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}[len(values)]
    return mean, quantile * deviation / math.sqrt(len(values))


def accuracies(output, name):
    summary = json.loads((output / f"{name}-sst2" / "summary.json").read_text())
    return [100 * trial["dev"]["accuracy"] for trial in summary["trials"]]


def table(output, budgets):
    output = pathlib.Path(output)
    rows = [("random weights", 0, 0, accuracies(output, "random"))]
    for budget in budgets:
        for objective in ("rtd", "rtd-15", "mlm"):
            count = updates(objective, int(budget))
            tera = 6 * macs_of_token(objective) * count * TOKENS / 1e12
            rows.append((objective, count, tera, accuracies(output, f"{objective}-{budget}")))
    print("| objective | updates | tokens | operations | SST-2 dev, mean of seeds | seeds |\n|---|---|---|---|---|---|")
    for name, count, tera, found in rows:
        mean, half = interval(found)
        seeds = ", ".join(f"{it:.1f}" for it in found)
        print(f"| {name} | {count} | {count * TOKENS / 1e6:.2f} M | {tera:.1f} T | {mean:.1f} ± {half:.1f} % | {seeds} |")
    (output / "accuracy.svg").write_text(picture(rows))


def picture(rows):
    """Accuracy over operations, a logarithmic axis, with intervals."""
    width, height, left, bottom = 720, 360, 60, 50
    points = [(name, tera, *interval(found)) for name, _, tera, found in rows if tera]
    flat, spread = interval(rows[0][3])
    low = math.floor(min([flat - spread] + [mean - half for *_, mean, half in points]))
    high = math.ceil(max([flat + spread] + [mean + half for *_, mean, half in points]))
    first, last = (math.log(pick(it[1] for it in points)) for pick in (min, max))
    pad = 0.15 * (last - first or 1)
    x = lambda tera: left + (math.log(tera) - first + pad) / (last - first + 2 * pad) * (width - left - 20)
    y = lambda percent: 20 + (high - percent) / (high - low) * (height - 20 - bottom)
    colours = {"rtd": "#0072b2", "rtd-15": "#e69f00", "mlm": "#009e73"}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for percent in range(low, high + 1, max(1, (high - low) // 6)):
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(percent):.1f}" y2="{y(percent):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(percent) + 4:.1f}" text-anchor="end">{percent} %</text>')
    parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(flat):.1f}" y2="{y(flat):.1f}" stroke="#888" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{width - 24}" y="{y(flat) - 5:.1f}" text-anchor="end" fill="#666">random weights</text>')
    for index, (name, colour) in enumerate(colours.items()):
        shift = (index - 1) * 7
        mine = sorted((tera, mean, half) for which, tera, mean, half in points if which == name)
        line = " ".join(f"{x(tera) + shift:.1f},{y(mean):.1f}" for tera, mean, _ in mine)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for tera, mean, half in mine:
            at = x(tera) + shift
            parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(mean - half):.1f}" y2="{y(mean + half):.1f}" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<circle cx="{at:.1f}" cy="{y(mean):.1f}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 20 + 90 * index}" y="36" fill="{colour}">{name}</text>')
    for tera in sorted({round(it[1], 1) for it in points if it[0] == "rtd"}):
        parts.append(f'<text x="{x(tera):.1f}" y="{height - bottom + 18}" text-anchor="middle">{tera}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">operations of pre-training, 10¹²</text></svg>\n')
    return "\n".join(parts)


if __name__ == "__main__":
    if sys.argv[1] == "updates":
        print(updates(sys.argv[2], int(sys.argv[3])))
    else:
        table(sys.argv[2], sys.argv[3:])
