"""Whatever a server does: the right bytes, or an error with a name.

    hub_faults_test.py DRIVER [--schedules N] [--kills N] [--times N ...]
"""

import argparse
import concurrent.futures
import os
import random
import shutil
import sys
import tempfile
import time
import unittest

from hub.driver_client import PATIENCE, OurClient, OurError
from hub.trial import BYTES, EVIL, Trial
from testing.fake_hub import trees, world
from testing.fake_hub.server import FakeHub

_MIB = 1 << 20
BIG = 9 * _MIB  # more than two parts of a partial file
KILLED = 24 * _MIB
PART = 4 * _MIB  # what may be fetched again
WINDOW = 8  # of them, where there are several connections

HUB_FILE = ("hub", "resolve/")
CDN_FILE = ("cdn", "/repos/")
INFO = ("hub", "/revision/")
TREE = ("hub", "/tree/")
EVERYWHERE = [HUB_FILE, CDN_FILE, INFO, TREE]

# (fault, value, at which byte, where, must one of it end well?)
TABLE = [
    ("close", None, 0, EVERYWHERE, True),
    ("garbage", None, 0, EVERYWHERE, False),
    ("cut", None, 0, EVERYWHERE, True),
    ("cut", None, 5000, EVERYWHERE, True),
    ("reset", None, 5000, EVERYWHERE, True),
    ("stall", 30, 50, EVERYWHERE, True),
    ("chunk", None, 5000, EVERYWHERE, True),
    ("length", 7, 0, EVERYWHERE, False),
    ("length", -7, 0, EVERYWHERE, False),
    ("drip", 20_000, 0, EVERYWHERE, True),
    ("endless_field", 64 * _MIB, 0, EVERYWHERE, False),
    ("status", 500, 0, EVERYWHERE, True),
    ("status", 503, 0, EVERYWHERE, True),
    ("status", 429, 0, EVERYWHERE, True),
    ("status", 408, 0, EVERYWHERE, True),
    ("status", 403, 0, EVERYWHERE, False),
    ("status", 204, 0, EVERYWHERE, False),
    ("status", 206, 0, EVERYWHERE, False),
    ("status", 304, 0, EVERYWHERE, False),
    ("status", 416, 0, EVERYWHERE, False),
    ("lie_size", 11, 0, EVERYWHERE, False),
    ("lie_size", -11, 0, EVERYWHERE, False),
    ("drop_field", "X-Repo-Commit", 0, EVERYWHERE, False),
    ("drop_field", "X-Linked-ETag", 0, [HUB_FILE], False),
    ("drop_field", "X-Linked-Size", 0, [HUB_FILE], False),
    ("drop_field", "Location", 0, [HUB_FILE], False),
    ("drop_field", "Content-Range", 0, [CDN_FILE], False),
    ("redirect", "file:///etc/passwd", 0, EVERYWHERE, False),
    ("redirect", "http://127.0.0.1:1/x", 0, EVERYWHERE, False),
    ("redirect", "https://[", 0, EVERYWHERE, False),
    ("circle", None, 0, EVERYWHERE, False),
    ("portal", None, 0, EVERYWHERE, False),
    ("tree_names", "../" * 12 + EVIL[1:], 0, [TREE], False),
    ("tree_names", EVIL, 0, [TREE], False),
    ("tree_names", "C:\\evil", 0, [TREE], False),
    ("tree_names", "a\\..\\..\\evil", 0, [TREE], False),
    ("tree_names", "not-there.bin", 0, [TREE], False),
    ("ignore_range", None, 0, [CDN_FILE], True),
    ("wrong_range", 10, 0, [CDN_FILE], False),
    ("corrupt", None, 4321, EVERYWHERE, False),
    ("bad_gzip", None, 40, EVERYWHERE, False),
]

# After which a Hub that says nothing is given up, in seconds, where it is to
# stall.
STALL = 3

# In pieces, over several connections.
PARALLEL = ("--connections", "4", "--parallel-from", "1")

# (verb, repository, the driver's options, broken off once before)
WAYS = [("download", "org/adapter", (), False),
        ("snapshot", "org/adapter", (), False),
        ("download", "org/big", (), True),
        ("download", "org/big", PARALLEL, False)]


def patience(kinds):
    """How long the Hub is waited for where it has faults of these kinds."""
    return STALL if "stall" in kinds else PATIENCE


def run_row(way, place, row, times):
    """A fault of the table befalls `times` requests."""
    verb, repo, options, resumed = way
    kind, value, at, _, ends_well = row
    with Trial(OPTIONS.driver, verb, repo, BIG, options,
               patience([kind])) as trial:
        if resumed:
            trial.hub.misbehave("cut", at=5 * _MIB, origin="cdn")
        trial.hub.misbehave(kind, value, at=at, origin=place[0], path=place[1],
                            times=times)
        what = trial.run()
        if times == 1 and ends_well and what != BYTES:
            raise AssertionError(f"{what} for what another try mends")
        trial.recover()
        return what


def rows():
    """Every row in every way and at every place where it can happen."""
    return [(run_row, way, place, row, times)
            for way in WAYS for row in TABLE for place in row[3]
            for times in OPTIONS.times
            if way[0] == "snapshot" or place in (HUB_FILE, CDN_FILE)]


def random_faults(draw):
    """Some faults at random places."""
    faults = []
    for _ in range(draw.randint(1, 4)):
        kind, value, at, _, _ = draw.choice(TABLE)
        faults.append({
            "kind": kind, "value": value,
            "at": draw.choice([at, 0, 1, 4096, 50_000, 5 * _MIB]),
            "origin": draw.choice(["hub", "cdn", None]),
            "method": draw.choice(["GET", "HEAD", None]),
            "skip": draw.choice([0, 0, 0, 1, 3]),
            "times": draw.choice([1, 1, 2, 4])})
    return faults


def run_schedule(seed):
    """A random schedule of faults."""
    draw = random.Random(f"{OPTIONS.seed} {seed}")
    faults = random_faults(draw)
    verb, repo, options, _ = draw.choice(WAYS)
    with Trial(OPTIONS.driver, verb, repo, BIG, options,
               patience(fault["kind"] for fault in faults)) as trial:
        for fault in faults:
            trial.hub.misbehave(**fault)
        try:
            what = trial.run()
            trial.recover()
        except AssertionError as error:
            raise AssertionError(f"{verb} {repo} {options}, {faults}: {error}; "
                                 f"{trial.hub.seen()}") from error
        return what


def damage(draw, cache):
    """Changes what a killed download has left."""
    for path in trees.left_over(cache):
        place = os.path.join(cache, path)
        size = os.path.getsize(place)
        with open(place, "r+b") as file:
            file.seek(draw.randrange(size + 1))
            what = draw.choice(["cut", "write", "write", "append"])
            if what == "cut":
                file.truncate()
            elif what == "append":
                file.seek(0, os.SEEK_END)
            if what != "cut":
                file.write(draw.randbytes(draw.randint(1, 40)))


def run_damaged(seed):
    """What a killed download has left is damaged before the next one."""
    draw = random.Random(f"{OPTIONS.seed} damage {seed}")
    with Trial(OPTIONS.driver, "download", "org/big", KILLED) as trial:
        trial.hub.misbehave("drip", 250_000, origin="cdn", times=None)
        for _ in range(draw.randint(1, 3)):
            process = trial.ours.start(*trial.arguments())
            time.sleep(draw.uniform(0.5, 1.5))
            process.kill()
            process.communicate()
            damage(draw, trial.cache)
        what = trial.run()
        if what != BYTES:
            raise AssertionError(what)
        return what


def run_killed(seed):
    """A download is killed at random moments, and then goes on."""
    draw = random.Random(f"{OPTIONS.seed} kill {seed}")
    verb = draw.choice(["download", "snapshot"])
    options = draw.choice([(), PARALLEL])
    with Trial(OPTIONS.driver, verb, "org/big", KILLED, options) as trial:
        trial.hub.misbehave("drip", 250_000 if not options else 60_000,
                            origin="cdn", times=None)
        kills = draw.randint(1, 3)
        for _ in range(kills):
            process = trial.ours.start(*trial.arguments())
            time.sleep(draw.uniform(0.1, 1.5))
            process.kill()
            process.communicate()
            trial.check([])
        trial.recover()
        sent = sum(request.sent for request in trial.hub.seen("cdn"))
        # Parts that were not recorded, and what was under way.
        parts = WINDOW if options else 1
        if sent > KILLED + kills * (parts * PART + 2 * _MIB):
            raise AssertionError(f"{sent} bytes were sent for {KILLED} and "
                                 f"{kills} kills")
        return BYTES


def run_together(seed):
    """Some processes want one file at once; the first of them is killed."""
    draw = random.Random(f"{OPTIONS.seed} together {seed}")
    verb = draw.choice(["download", "snapshot"])
    with Trial(OPTIONS.driver, verb, "org/big", KILLED) as trial:
        trial.hub.misbehave("drip", 250_000, origin="cdn", times=None)
        first = trial.ours.start(*trial.arguments())
        time.sleep(draw.uniform(0.1, 0.6))
        others = [trial.ours.start(*trial.arguments()) for _ in range(4)]
        time.sleep(draw.uniform(0.1, 0.6))
        first.kill()
        first.communicate()
        said = [process.communicate(timeout=240) for process in others]
        if any(process.returncode for process in others):
            raise AssertionError(f"seed {seed}: {said}")
        trial.recover()
        sent = sum(request.sent for request in trial.hub.seen("cdn"))
        if sent > KILLED + PART + 2 * _MIB:
            raise AssertionError(f"{sent} bytes were sent for {KILLED}")
        return BYTES


class FaultsTest(unittest.TestCase):

    def run_all(self, jobs):
        """Runs functions at once: most of their time is spent waiting."""
        seen = {}
        with concurrent.futures.ThreadPoolExecutor(OPTIONS.jobs) as pool:
            futures = [pool.submit(*job) for job in jobs]
            for future, (_, *arguments) in zip(futures, jobs):
                with self.subTest(arguments):
                    what = future.result()
                    seen[what] = seen.get(what, 0) + 1
                    if OPTIONS.table:
                        print(what, *arguments, flush=True)
        print(f"{self.id().split('.')[-1]}: {seen}", flush=True)

    def test_the_table(self):
        self.run_all(rows())

    def test_random_schedules(self):
        self.run_all([(run_schedule, seed)
                      for seed in range(OPTIONS.first,
                                        OPTIONS.first + OPTIONS.schedules)])

    def test_kills(self):
        self.run_all([(run_killed, seed) for seed in range(OPTIONS.kills)])

    def test_damage(self):
        self.run_all([(run_damaged, seed) for seed in range(OPTIONS.kills)])

    def test_many_at_once(self):
        self.run_all([(run_together, seed) for seed in range(4)])

    def test_certificates(self):
        for shown in ({"certificate": "expired"}, {"certificate": "wrong_host"},
                      {"certificate": "unknown_ca"},
                      {"cdn_certificate": "expired"},
                      {"cdn_certificate": "wrong_host"}):
            with self.subTest(**shown), FakeHub(**shown) as hub:
                world.populate(hub, 1000)
                cache = tempfile.mkdtemp()
                self.addCleanup(shutil.rmtree, cache)
                ours = OurClient(OPTIONS.driver, hub, cache, world.READER)
                with self.assertRaises(OurError) as raised:
                    ours.download("org/big", "model.bin")
                self.assertEqual(raised.exception.id, "HUB_TLS")
                self.assertEqual(hub.seen("cdn"), [])
                if "certificate" in shown:
                    self.assertEqual(hub.requests, [])


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", default="20261125")
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--times", type=int, nargs="*", default=[1, 9],
                        help="how often a row of the table happens")
    parser.add_argument("--table", action="store_true",
                        help="print what came of each")
    options, sys.argv[1:] = parser.parse_known_args()
    return options


if __name__ == "__main__":
    OPTIONS = parse_options()
    unittest.main()
