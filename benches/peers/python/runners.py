"""Starts runners, talks to them, and waits until each is idle before the next is asked."""

import subprocess
import time
from pathlib import Path


class RunnerFailed(Exception):
    """A runner said `error`, or ended."""

    def __init__(self, name, reason):
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class Runner:
    def __init__(self, name, command, environment):
        self.name = name
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, request, *words):
        words = " ".join(str(word) for word in words)
        try:
            self.process.stdin.write(f"{request} {words}".rstrip() + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise RunnerFailed(self.name, f"ended before {request}") from error
        answer = self.process.stdout.readline().strip()
        kind, _, rest = answer.partition(" ")
        if kind != request:
            raise RunnerFailed(self.name, answer.removeprefix("error ") or f"ended without an answer to {request}")
        return rest

    def load(self, ids):
        """Nanoseconds from opening the model to the first result."""
        return int(self.ask("load", *ids))

    def logits(self, ids):
        return [float(word) for word in self.ask("logits", *ids).split()]

    def run(self, repeats, ids):
        """Nanoseconds of each run."""
        return [int(word) for word in self.ask("run", repeats, *ids).split()]

    def allocations(self, ids):
        """Calls and bytes of one run, or nothing where they cannot be counted."""
        words = self.ask("allocations", *ids).split()
        return [int(word) for word in words] if words[0].isdigit() else None

    def version(self):
        return self.ask("version")

    def peak_resident(self):
        """VmHWM in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def cpu_nanoseconds(self):
        """Time on a processor, of all threads that live."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # A thread ended meanwhile.
        return total

    def wait_until_idle(self, limit=2.0):
        """Until it used no processor for two milliseconds; returns the processor time that it took until then."""
        first = before = self.cpu_nanoseconds()
        end = time.monotonic() + limit
        while time.monotonic() < end:
            time.sleep(0.002)
            now = self.cpu_nanoseconds()
            if now == before:
                break
            before = now
        return before - first

    def close(self):
        try:
            self.process.communicate("quit\n", timeout=20)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
