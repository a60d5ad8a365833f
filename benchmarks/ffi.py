"""Measures what calls of the C ABI cost from each language, beside C.

  ./bazelw run //benchmarks:ffi -- [--rounds 200]

Builds the program of each language whose tools are in PATH, then runs all of
them in turns, so that a noisy machine disturbs all alike: in each round each
program makes each call many times. A figure is the median of the rounds; the
difference is the median of the differences within a round.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from benchmarks import ffi_programs

# How often each call is made at a time: less than a millisecond, so that most
# of them end before the system gives the processor to another program.
CALLS = {"version": 20_000, "has_adapter": 4_000, "run_layer": 400,
         "forward": 60}
# Nanoseconds that a call may cost more than in C.
TARGETS = {"Rust": 1000, "Swift": 1000, "Go": 2000}


class Program:
    """One language's program, waiting for commands."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def time(self, call, count):
        """Nanoseconds per call."""
        self.process.stdin.write(f"{call} {count}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / count

    def close(self):
        self.process.stdin.close()
        if self.process.wait():
            raise RuntimeError(f"{self.process.args} failed")


def measure(programs, rounds, scale):
    """Nanoseconds by (call, language), a list of rounds each."""
    samples = {}
    for index in range(rounds + 1):
        for call, count in CALLS.items():
            for language, program in programs.items():
                time = program.time(call, max(1, int(count * scale)))
                if index > 0:  # the first round warms up
                    samples.setdefault((call, language), []).append(time)
    return samples


def print_table(samples, languages):
    print("| call | language | ns | more than C, ns | target |")
    print("|---|---|---|---|---|")
    for call in CALLS:
        c = samples[call, "C"]
        for language in languages:
            times = samples[call, language]
            row = f"| {call} | {language} | {statistics.median(times):.0f} |"
            if language == "C":
                print(row + " | |")
                continue
            more = statistics.median(a - b for a, b in zip(times, c))
            target = TARGETS[language]
            verdict = "met" if more < target else "missed"
            print(row + f" {more:.0f} | under {target}: {verdict} |")


def build_programs(arguments, folder):
    """The program of each language that can be built here."""
    library = pathlib.Path(arguments.library).resolve().parent
    programs = {"C": arguments.c_program}
    for language, (tools, build) in ffi_programs.BUILDERS.items():
        if language.lower() not in arguments.languages.split(","):
            continue
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            print(f"{language} is left out: no {' and '.join(missing)} in "
                  "PATH", file=sys.stderr)
            continue
        print(f"building the program in {language}", file=sys.stderr)
        programs[language] = build(library, folder / language)
    return programs


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--c-program", required=True)
    parser.add_argument("--library", required=True, help="libpeft.so")
    parser.add_argument("--scenario", default="testing/scenario")
    parser.add_argument("--languages", default="rust,go,swift",
                        help="those to try, beside C")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--scale", type=float, default=1,
                        help="makes so many times the calls")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        programs = {
            language: Program([program, arguments.scenario])
            for language, program in build_programs(
                arguments, pathlib.Path(name)).items()}
        samples = measure(programs, arguments.rounds, arguments.scale)
        for program in programs.values():
            program.close()
    print_table(samples, list(programs))


if __name__ == "__main__":
    main()
