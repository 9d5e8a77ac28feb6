"""Attacks that read: the graders, the solutions, the gradebook, the work of others, this machine."""

from __future__ import annotations

from siege import Attack, Siege

# Tries every way to read a path, and prints what it got.
READ = """
def read(path):
    import io, linecache, mmap, os, pathlib, shutil, tokenize
    def by_descriptor():
        fd = os.open(path, os.O_RDONLY)
        return os.read(fd, 1 << 20)
    def by_memory():
        with open(path) as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[:]
    def by_copy():
        shutil.copyfile(path, "copy")
        return open("copy").read()
    def by_link():
        os.symlink(path, "link")
        return open("link").read()
    def by_hard_link():
        os.link(path, "hard")
        return open("hard").read()
    def by_lines():
        lines = linecache.getlines(str(path))
        if not lines:
            raise OSError("no lines")
        return lines
    ways = [lambda: open(path).read(), pathlib.Path(path).read_bytes, by_descriptor, by_memory, by_copy, by_link,
            by_hard_link, by_lines, lambda: tokenize.open(path).read(), lambda: np.fromfile(path, np.uint8).tobytes(),
            lambda: torch.from_file(str(path), dtype=torch.uint8, size=1000), lambda: io.FileIO(path).readall(),
            lambda: get_ipython().run_line_magic("load", str(path)), lambda: get_ipython().getoutput("cat " + path)]
    for way in ways:
        try:
            print(way())
        except BaseException as error:
            print("no luck:", type(error).__name__)
"""

WALK = """
import os
for top in ("{root}", "{home}"):
    for folder, _, names in os.walk(top):
        for name in names:
            read(os.path.join(folder, name))
"""


def known(*paths: str) -> str:
    """A cell that reads these paths in every way."""
    return READ + "".join(f"\nread({path!r})" for path in paths)


class TestReading(Siege):
    """What a submission must not see."""

    attacks = (
        Attack(
            "hidden tests by path",
            known("{root}/autograde/questions/warmup/target/test_target.py"),
            "landlock",
        ),
        Attack(
            "mistakes by path", known("{root}/autograde/questions/warmup/target/mistakes.toml"), "landlock"
        ),
        Attack("source notebook by path", known("{root}/source/warmup/target.ipynb"), "landlock"),
        Attack("gradebook by path", known("{root}/gradebook.db"), "landlock"),
        Attack(
            "seed and journal by path",
            known("{root}/.autograde/seed", "{root}/.autograde/journal.jsonl"),
            "landlock",
        ),
        Attack(
            "another submission by path", known("{root}/submitted/fellow/warmup/target.ipynb"), "landlock"
        ),
        Attack("home by path", known("{home}/diary.txt", "/etc/passwd", "/etc/shadow"), "landlock"),
        Attack("walk of the course", READ + WALK, "landlock"),
    )
