"""The archive is the same, byte for byte, whenever and by whomever it is made."""

import io
import os
import tarfile
import unittest

from tools.dist import make_dist

FILES = {"bin/peft": b"program", "README.md": b"text"}
LINKS = {"lib/libpeft.so": "libpeft.so.0"}


class PackTest(unittest.TestCase):

    def test_the_same_files_give_the_same_bytes(self):
        first = make_dist.pack("peft-1", FILES, LINKS)
        os.umask(0o077)
        second = make_dist.pack("peft-1", dict(reversed(FILES.items())), LINKS)
        self.assertEqual(first, second)

    def test_nothing_tells_who_made_it_and_when(self):
        with tarfile.open(
                fileobj=io.BytesIO(make_dist.pack("peft-1", FILES, LINKS))) as tar:
            for member in tar:
                self.assertEqual(
                    (member.mtime, member.uid, member.gid, member.uname,
                     member.gname), (0, 0, 0, "", ""))
            self.assertEqual(tar.getmember("peft-1/bin/peft").mode, 0o755)
            self.assertEqual(tar.getmember("peft-1/README.md").mode, 0o644)
            self.assertEqual(tar.getmember("peft-1/lib/libpeft.so").linkname,
                             "libpeft.so.0")

    def test_the_newest_glibc_is_told(self):
        self.assertEqual(make_dist.newest_glibc(
            [b"\0GLIBC_2.9\0GLIBC_2.34\0", b"\0GLIBC_2.4\0"]), "2.34")


if __name__ == "__main__":
    unittest.main()
