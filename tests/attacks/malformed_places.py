"""Odd places and names: folders, links and devices under a notebook's name, names of files and of students."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from malformed_case import FULL, NONE, SLUG, Case, Good, Place

FILE = f"{SLUG}.ipynb"
NO_FILE = "a folder or a device has its name"
GONE = "can't be read"


def places(good: Good) -> Iterator[Case]:
    """Something that is no file, or that may not be read."""

    def folder(home: Path) -> None:
        (home / FILE).mkdir()

    def inside(home: Path) -> None:
        (home / FILE).mkdir()
        (home / FILE / FILE).write_bytes(good.bytes)

    def pipe(home: Path) -> None:
        os.mkfifo(home / FILE)

    def listener(home: Path) -> None:
        # Bound by its name alone: the whole path may be longer than a socket's may be.
        before = os.open(".", os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(home)
            try:
                server.bind(FILE)
            finally:
                os.fchdir(before)
                os.close(before)

    def unreadable(home: Path) -> None:
        (home / FILE).write_bytes(good.bytes)
        (home / FILE).chmod(0)

    def read_only(home: Path) -> None:
        (home / FILE).write_bytes(good.bytes)
        (home / FILE).chmod(0o444)

    yield Case("a folder", folder, NONE, NO_FILE)
    yield Case("a folder with the notebook in it", inside, NONE, NO_FILE)
    yield Case("a FIFO, which nobody writes to", pipe, NONE, NO_FILE)
    yield Case("a socket", listener, NONE, NO_FILE)
    yield Case("without permission to read", unreadable, NONE, GONE)
    yield Case("read only", read_only, FULL)


def closed_folders(good: Good) -> Iterator[Case]:
    """Folders that may not be entered."""

    def topic(home: Path) -> None:
        (home / FILE).write_bytes(good.bytes)
        home.chmod(0)

    def student(home: Path) -> None:
        (home / FILE).write_bytes(good.bytes)
        home.parent.chmod(0)

    def blind(home: Path) -> None:
        (home / FILE).write_bytes(good.bytes)
        home.chmod(0o311)

    for what, put in {
        "the topic's": topic,
        "the student's": student,
        "one that can't be listed": blind,
    }.items():
        yield Case(what, put, None, "change its permissions", student=f"closed: {what}", recorded=False)


def links(good: Good) -> Iterator[Case]:
    """Links, which may lead anywhere."""

    def to(target: str) -> Place:
        return lambda home: (home / FILE).symlink_to(target)

    def beside(home: Path) -> None:
        (home / "mine.txt").write_bytes(good.bytes)
        (home / FILE).symlink_to("mine.txt")

    outside = "a link to a file outside the submission"
    yield Case("to nothing", to("nothing.ipynb"), NONE, GONE)
    yield Case("to itself", to(FILE), NONE, GONE)
    yield Case("to the source", to(f"../../../source/warmup/{FILE}"), NONE, outside)
    yield Case("to a device", to("/dev/zero"), NONE, NO_FILE)
    yield Case("to a neighbour's work", to(f"../../neighbour/warmup/{FILE}"), NONE, outside)
    yield Case("to a file beside it", beside, FULL)


def file_names(good: Good) -> Iterator[Case]:
    """The work under another name, and other files beside it."""

    def named(*names: str) -> Place:
        def put(home: Path) -> None:
            for name in names:
                (home / name).parent.mkdir(exist_ok=True)
                (home / name).write_bytes(good.bytes)

        return put

    for name in (
        "double_it (1).ipynb", "Double_It.ipynb", "double_it-Copy1.ipynb", "Copy of double_it.ipynb", "double-it.ipynb",
        "double_it.ipynb.txt", "double_it.IPYNB", "double_it .ipynb", "double_it.ipynb.ipynb", "double_it_v2.ipynb",
        "double_it_final.ipynb", "double_it.zip", "ＤＯＵＢＬＥ_ＩＴ.ipynb",
    ):  # fmt: skip
        yield Case(f"named {name}", named(name), NONE, f"there is '{name}'", recorded=False)
    for name in (
        "homework.ipynb",
        "double_it" + "1" * 200 + "x.ipynb",
        "notes.txt",
        "été.ipynb",
        "-rf.ipynb",
        "a" * 240 + ".ipynb",
        "*.ipynb",
        "'\"`$(x)`.ipynb",
    ):
        yield Case(f"named {name[:30]}", named(name), NONE, "not handed in", recorded=False)
    for name in (
        "double_it (1).ipynb", "._double_it.ipynb", ".ipynb_checkpoints/double_it-checkpoint.ipynb",
        "été.ipynb", "e\u0301te\u0301.ipynb",
        "\u05d0\u05d1.ipynb", "😀.ipynb", "-rf.ipynb", "*.ipynb",
        "[a].ipynb", "a\nb.ipynb", "'\"`$(x)`.ipynb", "%s{0}.ipynb",
        "\u202egnp.ipynb", "a" * 240 + ".ipynb", os.fsdecode(b"caf\xe9.csv"), "timestamp.md", "test_double_it.py",
    ):  # fmt: skip
        what = name.encode("utf-8", "backslashreplace").decode()[:30]
        yield Case(f"beside {what!r}", named(FILE, name), FULL)
    beside = named(FILE, os.fsdecode(b"caf\xe9.ipynb"))
    yield Case("beside one that is not UTF-8", beside, FULL, "not UTF-8: rename it", recorded=False)


def timestamps(good: Good) -> Iterator[Case]:
    """A time of handing in as people write it, or none that anything can read, which is then not used."""

    def at(text: bytes) -> Place:
        def put(home: Path) -> None:
            (home / FILE).write_bytes(good.bytes)
            (home / "timestamp.txt").write_bytes(text)

        return put

    for what, text in {
        "empty": b"", "without a zone": b"2026-01-02 12:00:00", "Windows line end": b"2026-01-02 12:00:00 UTC\r\n",
        "of Europe": b"02.01.2026 12:00", "no time": b"yesterday", "no text": b"\xff\xfe\x00",
        "year 99999": b"99999-01-02 12:00:00 UTC", "byte-order mark": b"\xef\xbb\xbf2026-01-02 12:00:00 UTC",
        "ISO": b"2026-01-02T12:00:00+01:00\n",
    }.items():  # fmt: skip
        yield Case(what, at(text), FULL)


def student_names(good: Good) -> Iterator[Case]:
    """Names of students as file systems allow them."""
    for name in (
        "neighbour", unicodedata.normalize("NFC", "José Núñez"),
        unicodedata.normalize("NFD", "José Núñez"), "Žofie Øst", "李小龍", "محمد علي",
        "שרה", "\u202egnihton", "a\u200bb", "😀👩‍👩‍👧", "Ann", "ann", "two  blanks", "O'Neill", 'a "b" c',
        "$HOME", "$(id)", "a;b", "~", "-rf", "--help", "-", "{x}", "{0}",
        "%(name)s", "\\", "a\\nb", "<img src=x onerror=alert(1)>", "=1+1", "@SUM(A1)", "'; DROP TABLE student;--",
        "None", "007", "trailing.",
        "x" * 200, "é" * 100, "z" + "\u0301" * 60, "a,b",
        "submitted", "autograded", "release", "__pycache__", "student+tag@example.org",
    ):  # fmt: skip
        what = name.encode("utf-8", "backslashreplace").decode()[:30]
        yield Case(f"student {what!r}", good.bytes, FULL, student=name)
    for name in (
        " blank first", "blank last ", "*", "?", "[a-z]", "Li [12345]",
        "a\nb", "a\tb", "a\x1b[31mb", os.fsdecode(b"Ren\xe9"),
        os.fsdecode(b"\xff\xfe"), "\x85", "\u3000",
    ):  # fmt: skip
        what = name.encode("utf-8", "backslashreplace").decode()[:30]
        yield Case(f"student {what!r}", good.bytes, None, "rename it", student=name, recorded=False)


PLACES = {
    "a folder named .ipynb, unreadable permissions": places,
    "closed folders": closed_folders,
    "links": links,
    "names of files": file_names,
    "timestamps": timestamps,
    "unicode names of students": student_names,
}
