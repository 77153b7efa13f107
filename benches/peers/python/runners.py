"""Starts runners and sends them requests. Waits until one is idle before another gets a request."""

import subprocess
import time
from pathlib import Path


class RunnerFailed(Exception):
    """A runner answered with `error`, or ended."""

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
        """Returns the nanoseconds from opening the model to the first result."""
        return int(self.ask("load", *ids))

    def logits(self, ids):
        return [float(word) for word in self.ask("logits", *ids).split()]

    def run(self, repeats, ids):
        """Returns the nanoseconds of each run."""
        return [int(word) for word in self.ask("run", repeats, *ids).split()]

    def allocations(self, ids):
        """Returns the allocations of one run, calls and bytes, or None if they cannot be
        counted."""
        words = self.ask("allocations", *ids).split()
        return [int(word) for word in words] if words[0].isdigit() else None

    def version(self):
        return self.ask("version")

    def peak_resident(self):
        """Returns the peak of resident memory, VmHWM, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def cpu_nanoseconds(self):
        """Returns the processor time of all living threads in nanoseconds."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # The thread has ended in the meantime.
        return total

    def wait_until_idle(self, limit=2.0):
        """Waits until the runner uses no processor time for two milliseconds, at most `limit`
        seconds. Returns the processor time that it used until then, in nanoseconds."""
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
