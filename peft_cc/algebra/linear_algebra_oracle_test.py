"""Decompositions against torch's, on random matrices of every kind."""

import random
import sys
import unittest

import torch

from peft_cc.algebra.driver import Batch

DRIVER = sys.argv.pop(1)


def random_matrix(rng, rows, cols):
    """Full rank, deficient, with repeated singular values, badly scaled."""
    kind = rng.choice(["full", "deficient", "repeated", "decaying", "scaled",
                       "zeros in rows", "orthogonal"])
    w = torch.randn(rows, cols, dtype=torch.float64)
    k = min(rows, cols)
    if kind == "deficient":
        rank = rng.randrange(1, k + 1)
        w = w[:, :rank] @ torch.randn(rank, cols, dtype=torch.float64)
    elif kind in ("repeated", "decaying", "orthogonal"):
        u, s, vt = torch.linalg.svd(w, full_matrices=False)
        if kind == "repeated":
            s = torch.tensor([float(rng.choice([1, 2, 2, 3])) for _ in s])
            s = s.sort(descending=True)[0].double()
        elif kind == "decaying":
            s = torch.logspace(0, -9, k, dtype=torch.float64)
        else:
            s = torch.ones_like(s)
        w = u @ torch.diag(s) @ vt
    elif kind == "scaled":
        w = w * 10.0 ** rng.randrange(-20, 20)
    elif kind == "zeros in rows":
        w[::2] = 0
    return kind, w.float()


def random_shape(rng, largest):
    rows = rng.choice([1, 2, rng.randrange(1, largest)])
    cols = rng.choice([1, rows, rng.randrange(1, largest)])
    return rng.choice([(rows, cols), (cols, rows)])


class LinearAlgebraTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        rng = random.Random("linear algebra")
        torch.manual_seed(1)
        cls.batch = Batch()
        cls.qr, cls.svd, cls.top = [], [], []
        for _ in range(60):
            kind, w = random_matrix(rng, *random_shape(rng, 90))
            cls.qr.append((kind, w, cls.batch.add("qr", {"w": w})))
            cls.svd.append((kind, w,
                            cls.batch.add("svd", {"w": w}, rank=None)))
        for _ in range(16):
            # Large enough for the iterative method.
            rows, cols = rng.randrange(260, 420), rng.randrange(260, 420)
            kind, w = random_matrix(rng, rows, cols)
            rank = rng.choice([1, rng.randrange(1, 9), 40])
            cls.top.append((kind, w, rank,
                            cls.batch.add("svd", {"w": w}, rank=rank)))
        cls.batch.run(DRIVER)

    def assertNear(self, a, b, scale, tolerance, message):
        error = (a.double() - b.double()).abs().max().item()
        self.assertLessEqual(error, tolerance * float(scale), message)

    def test_qr_equals_torchs_factors(self):
        for kind, w, i in self.qr:
            q, r = self.batch.output(i, "q"), self.batch.output(i, "r")
            scale = w.abs().max()
            message = f"{kind} {tuple(w.shape)}"
            self.assertNear(q.double() @ r.double(), w, scale, 1e-6, message)
            eye = torch.eye(q.shape[1])
            self.assertNear(q.T.double() @ q.double(), eye, 1, 1e-6, message)
            self.assertTrue(torch.equal(r, r.triu()), message)
            if kind == "full" and min(w.shape) > 1:
                # Well conditioned, so that even single elements agree.
                expected, _ = torch.linalg.qr(w.double())
                self.assertNear(q, expected, 1, 1e-6, message)

    def check_vectors(self, u, vt, message):
        for vectors in (u.double(), vt.T.double()):
            self.assertNear(vectors.T @ vectors,
                            torch.eye(vectors.shape[1]), 1, 1e-6, message)

    def test_svd_gives_back_the_matrix(self):
        for kind, w, i in self.svd:
            u, s, vt = (self.batch.output(i, n) for n in ("u", "s", "vt"))
            message = f"{kind} {tuple(w.shape)}"
            expected = torch.linalg.svdvals(w.double())
            self.assertNear(s[0], expected, expected[0], 1e-7, message)
            values = self.batch.output(i, "values")
            self.assertNear(values[0], expected, expected[0], 1e-7, message)
            self.check_vectors(u, vt, message)
            self.assertNear((u.double() * s[0].double()) @ vt.double(), w,
                            expected[0], 1e-6, message)

    def test_top_svd_is_the_best_approximation(self):
        for kind, w, rank, i in self.top:
            u, s, vt = (self.batch.output(i, n) for n in ("u", "s", "vt"))
            message = f"{kind} {tuple(w.shape)} rank {rank}"
            all_values = torch.linalg.svdvals(w.double())
            self.assertNear(s[0], all_values[:rank], all_values[0], 1e-7,
                            message)
            self.check_vectors(u, vt, message)
            # Eckart and Young: what is left has the other singular values.
            rest = w.double() - (u.double() * s[0].double()) @ vt.double()
            left = torch.linalg.svdvals(rest)
            self.assertNear(left[:len(all_values) - rank], all_values[rank:],
                            all_values[0], 1e-6, message)

    def test_signs_make_the_largest_element_positive(self):
        for kind, w, i in self.svd:
            u = self.batch.output(i, "u")
            largest = u.gather(0, u.abs().argmax(0, keepdim=True))
            self.assertTrue((largest > 0).all(), f"{kind} {tuple(w.shape)}")


if __name__ == "__main__":
    unittest.main()
