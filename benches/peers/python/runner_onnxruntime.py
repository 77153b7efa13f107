"""ONNX Runtime as a runner with the protocol of src/protocol.rs: `MODEL THREADS SETTING`.

The setting determines what the threads do while they wait for work. With `spin`, the default of
ONNX Runtime, they spin for tens of milliseconds after a run. With `spin-while-running` they stop
when the run returns. With `block` they never spin.
"""

import sys
import time
from importlib.metadata import version

import numpy as np
import onnxruntime


SPINNING = {"spin": ("1", "0"), "spin-while-running": ("1", "1"), "block": ("0", "0")}


def open_session(path, threads, setting):
    spin, stop = SPINNING[setting]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    options.add_session_config_entry("session.force_spinning_stop", stop)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feed(session, ids):
    row = np.array([ids], np.int64)
    values = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    return {node.name: values[node.name] for node in session.get_inputs()}


def bind(session, ids):
    """Binds the inputs in advance. A run then takes 0.05 ms less than with arrays as arguments."""
    binding = session.io_binding()
    for name, values in feed(session, ids).items():
        binding.bind_cpu_input(name, values)
    binding.bind_output("logits")
    return binding


class Runner:
    def __init__(self, path, threads, setting):
        self.how, self.session = (path, threads, setting), None

    def ready(self):
        self.session = self.session or open_session(*self.how)
        return self.session

    def run(self, ids):
        return self.ready().run(["logits"], feed(self.ready(), ids))[0].ravel()

    def answer(self, request, words):
        if request == "load":
            self.session = None
            start = time.perf_counter_ns()
            self.run(words)
            return time.perf_counter_ns() - start
        if request == "logits":
            return " ".join(str(float(logit)) for logit in self.run(words))
        if request == "run":
            repeats, ids = words[0], words[1:]
            run, bound, times = self.ready().run_with_iobinding, bind(self.ready(), ids), []
            for _ in range(repeats):
                start = time.perf_counter_ns()
                run(bound)
                times.append(time.perf_counter_ns() - start)
            return " ".join(map(str, times))
        if request == "allocations":
            return "not counted"
        if request == "version":
            return f"ONNX Runtime {version('onnxruntime')}"
        sys.exit(f"error request {request} found, expected load, logits, run, allocations, version or quit")


def main():
    runner = Runner(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    for line in sys.stdin:
        request, *words = line.split()
        if request == "quit":
            return
        print(request, runner.answer(request, [int(word) for word in words]), flush=True)


if __name__ == "__main__":
    main()
