"""Counts tests by Bazel's own account, its build event file.

Usage: summary.py EVENTS EXIT_CODE_OF_BAZEL [EVENTS EXIT_CODE]...

What Bazel prints last leaves out zeros and counts no target that did not
build; the events have one entry per target and per test.
"""

import json
import sys


def read_events(path):
    # A Bazel that was killed leaves a last line that is not complete.
    events = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return events


def count(events):
    """Returns the labels that passed, failed and were skipped."""
    passed, failed, skipped = set(), set(), set()
    for event in events:
        event_id = event["id"]
        if "testSummary" in event_id:
            label = event_id["testSummary"]["label"]
            status = event.get("testSummary", {}).get("overallStatus")
            (passed if status in ("PASSED", "FLAKY") else failed).add(label)
        elif "targetCompleted" in event_id:
            label = event_id["targetCompleted"]["label"]
            if event.get("aborted", {}).get("reason") == "SKIPPED":
                skipped.add(label)
            elif not event.get("completed", {}).get("success"):
                failed.add(label)
    skipped -= passed
    return passed - failed, failed - skipped, skipped


def main():
    events = [event for path in sys.argv[1::2] for event in read_events(path)]
    passed, failed, skipped = count(events)
    exit_code = max(int(code) for code in sys.argv[2::2])
    for label in sorted(skipped):
        print(f"skipped: {label}")
    for label in sorted(failed):
        print(f"failed: {label}")
    num_failed = len(failed)
    if exit_code != 0 and not failed:
        # Nothing that failed has a name: a BUILD file, the command line ...
        print(f"failed: bazel itself, with exit code {exit_code}")
        num_failed = 1
    line = f"{len(passed)} passed, {num_failed} failed"
    if skipped:
        line += f", {len(skipped)} skipped"
    print(line)
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
