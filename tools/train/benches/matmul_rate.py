"""Prints the operations per second of bf16 products of 8192 x 8192 random numbers on the first GPU:
the median of ten, after three to warm up."""

import statistics

import torch

SIZE = 8192


def main():
    a, b = (torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for index in range(13):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        end.record()
        end.synchronize()
        if index >= 3:
            seconds.append(start.elapsed_time(end) / 1e3)
    print(2 * SIZE**3 / statistics.median(seconds))


if __name__ == "__main__":
    main()
