"""A contender that computes nothing; its variant says how it behaves: "<name> <behaviour>". Loaded by the worker."""

import os
import sys


def start(variant, threads):
    if "no start" in variant:
        raise ImportError("libfake.so is missing")
    return {"versions": {"fake": "1"}, "instructions": {"Fake": f"{threads} threads"}}


def build(case, arrays, variant):
    print("libraries print to stdout")
    if "refuses" in variant:
        raise RuntimeError("compilation failed\n\n  fake.cpp:1: error: no compiler\nmore")
    if "dies" in variant:
        print("Segmentation fault, they say", file=sys.stderr)
        sys.stderr.flush()
        os._exit(3)
    return Built(variant)


class Built:
    def __init__(self, variant):
        self.variant, self.steps = variant, 0

    def step(self):
        self.steps += 1
        if "stops" in self.variant and self.steps > 5:
            raise MemoryError("no more")
        if log := os.environ.get("FAKE_LOG"):
            with open(log, "a") as file:
                file.write(self.variant.split()[0] + "\n")

    def check(self):
        return [2.0 if "differs" in self.variant else 1.0, float(self.steps)]

    def result(self, least):
        if "speechless" in self.variant:
            raise RuntimeError("nothing to say")
        self.steps = max(self.steps, least)
        return {"steps": self.steps}
