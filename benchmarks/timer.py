"""Times of several sides that take turns."""

import statistics
import time


class Timer:
    """Milliseconds by (measure, side)."""

    def __init__(self):
        self.samples = {}

    def time(self, measure, side, function, repeat=1):
        start = time.perf_counter()
        for _ in range(repeat):
            function()
        elapsed = (time.perf_counter() - start) / repeat
        self.samples.setdefault((measure, side), []).append(1e3 * elapsed)

    def median(self, measure, side):
        return statistics.median(self.samples[measure, side])
