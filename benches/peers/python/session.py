"""Runs the interleaved session: every system at every length, in rounds, with all processes
alive."""

import statistics
import sys

from runners import Runner, RunnerFailed
from systems import ORT, Choice, environment

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
CLS, SEP, FIRST_WORD = 101, 102, 2000


def log(text):
    print(text, file=sys.stderr, flush=True)


def ids(tokens):
    """Returns `tokens` ids: [CLS], ordinary words, [SEP]."""
    return [CLS, *(FIRST_WORD + index * 37 % 20000 for index in range(tokens - 2)), SEP]


def summary(values):
    """Returns the median, the 10th and 90th percentile, and the number of `values`."""
    values = sorted(values)
    at = lambda share: values[round(share * (len(values) - 1))]
    return {"median": statistics.median(values), "p10": at(0.1), "p90": at(0.9), "count": len(values)}


def milliseconds(nanoseconds):
    return [time / 1e6 for time in nanoseconds]


class Session:
    """Runners of one model with one number of threads. `missing` has the systems that cannot be
    started, with the reasons."""

    def __init__(self, builds, folder, threads, choices, systems, held=None):
        self.systems = systems
        self.runners, self.missing = {}, {}
        for system in systems:
            command = builds.command(system, folder, choices[system.name], threads)
            runner = Runner(system.name, command, environment(threads, held))
            try:
                runner.load(ids(8))
            except RunnerFailed as error:
                self.missing[system.name] = error.reason
                runner.close()
            else:
                self.runners[system.name] = runner

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for runner in self.runners.values():
            runner.close()


def choose(builds, folder, threads, rounds, systems, held=None):
    """Chooses the fastest file of each system, and with that file the fastest setting, at 32 and
    128 tokens. Also returns the medians that the choices are based on."""
    chosen, evidence = {}, []
    for system in systems:
        found = [Choice(file, system.settings[0]) for file in system.files]
        found, trials = fastest(builds, folder, threads, rounds, system, found, held)
        evidence += trials
        if threads >= system.settings_from:
            settings = [Choice(found.file, setting) for setting in system.settings]
            found, trials = fastest(builds, folder, threads, rounds, system, settings, held)
            evidence += trials
        chosen[system.name] = found
    return chosen, evidence


def fastest(builds, folder, threads, rounds, system, candidates, held):
    if len(candidates) == 1:
        return candidates[0], []
    runners, evidence = {}, []
    for choice in candidates:
        command = builds.command(system, folder, choice, threads)
        runner = Runner(f"{system.name}, {choice}", command, environment(threads, held))
        try:
            runner.load(ids(32))
            runners[choice] = runner
        except RunnerFailed as error:
            runner.close()
            evidence.append({"system": system.name, "threads": threads, "choice": str(choice), "failed": error.reason})
    if not runners:
        sys.exit(f"{system.name}: runs none of {', '.join(system.files)}: {evidence}")
    scores = dict.fromkeys(runners, 1.0)
    for tokens in (32, 128):
        for choice, nanoseconds in interleave(runners, tokens, rounds, 3).items():
            median = statistics.median(nanoseconds) / 1e6
            scores[choice] *= median
            row = {"system": system.name, "threads": threads, "choice": str(choice), "tokens": tokens, "median": median}
            evidence.append(row)
    for runner in runners.values():
        runner.close()
    return min(scores, key=scores.get), evidence


def check(session, sentences):
    """Compares all systems with ONNX Runtime in f32 on real sentences. Returns the largest
    difference of a logit per system, and a list of problems. A problem is a logit beyond the
    tolerance, or another label where the logits are not close."""
    worst, problems = {}, []
    for system in session.systems:
        if system.name not in session.runners:
            continue
        worst[system.name] = 0.0
        for text, tokens in sentences:
            expected = session.runners[ORT].logits(tokens)
            found = session.runners[system.name].logits(tokens)
            difference = max(abs(a - b) for a, b in zip(expected, found, strict=True))
            worst[system.name] = max(worst[system.name], difference)
            first, second = sorted(expected, reverse=True)[:2]
            decided = first - second > 2 * system.tolerance
            other_label = expected.index(first) != found.index(max(found))
            if difference > system.tolerance or (decided and other_label):
                problems.append(f"{system.name}: logits {found} for {text!r}, {ORT} has {expected}, tolerance {system.tolerance}")
    return worst, problems


def interleave(runners, tokens, rounds, repeats):
    """Returns the nanoseconds of each runner's runs. Each round starts with another runner. The
    first run of each turn is not counted, because it finds the caches as another system left
    them."""
    words = ids(tokens)
    times = {name: [] for name in runners}
    names = list(runners)
    for name in names:
        runners[name].run(3, words)
        runners[name].wait_until_idle()
    for round_number in range(rounds):
        start = round_number % len(names)
        for name in names[start:] + names[:start]:
            times[name] += runners[name].run(repeats + 1, words)[1:]
            runners[name].wait_until_idle()
    return times


def measure(session, lengths, rounds, repeats, threads):
    rows = []
    for tokens in lengths:
        log(f"  {tokens} tokens, {threads} thread(s)")
        for name, nanoseconds in interleave(session.runners, tokens, rounds, repeats).items():
            rows.append({"system": name, "threads": threads, "tokens": tokens} | summary(milliseconds(nanoseconds)))
    return rows
