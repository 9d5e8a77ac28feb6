"""Files that are no notebook: cut, torn, wrongly encoded, or something else under a notebook's name."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator

from malformed_case import FULL, NONE, Case, Good

CUT = "the file ends in the middle"
JSON = "not valid JSON"


def truncated(good: Good) -> Iterator[Case]:
    """Cut at many places: by a full disk, a lost connection, a closed lid."""
    whole = good.text.rstrip()
    step = len(whole) // 30
    for at in sorted({*range(1, len(whole), step), *range(len(whole) - 6, len(whole))}):
        yield Case(f"cut at {at}", whole[:at].encode(), NONE, CUT)
    yield Case("cut within a character", '{"cells": "é'.encode()[:-1], NONE, "not UTF-8")
    yield Case("only the last newline is missing", whole.encode(), FULL)


def invalid_json(good: Good) -> Iterator[Case]:
    """Edited by hand, or written by a program that does not know JSON."""
    text = good.text
    places = [found.start() for found in re.finditer(r"[\[\]{}:,\"]", text)]
    for at in places[5 :: len(places) // 12]:
        # Without one of its marks the text is no JSON, wherever that was, or says something else.
        spoiled = text[:at] + text[at + 1 :]
        if not _is_json(spoiled) and spoiled.rstrip().endswith("}"):
            yield Case(f"without the mark at {at}", spoiled.encode(), NONE, "")
    yield Case("single quotes", repr(good.copy()).encode(), NONE, JSON)
    yield Case("trailing comma", text.replace('"nbformat": 4,', '"nbformat": 4,,').encode(), NONE, JSON)
    yield Case("comment", ("{ // mine\n" + text[1:]).encode(), NONE, JSON)
    yield Case("key without quotes", text.replace('"cells":', "cells:").encode(), NONE, JSON)
    yield Case("raw line break in a string", text.replace('"cells"', '"ce\nlls"').encode(), NONE, JSON)
    yield Case("unknown escape", text.replace('"cells"', r'"\cells"').encode(), NONE, JSON)
    yield Case("a number of 5000 digits", b'{"nbformat": ' + b"9" * 5000 + b"}", NONE, JSON)
    yield Case("YAML", b"nbformat: 4\ncells:\n- source: x\n", NONE, "plain text")
    yield Case("a word", b"{nothing}", NONE, JSON)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def deep_nesting(good: Good) -> Iterator[Case]:
    """Nested deeper than anything that reads JSON can follow."""
    # In between, each version of Python has a limit of its own.
    for depth, earns, says in (
        (100, FULL, ""),
        (5_000, NONE, "nested too deep"),
        (100_000, NONE, "nested too deep"),
    ):
        nested = '{"a": ' * depth + "1" + "}" * depth
        spoiled = good.text.replace('"metadata": {', f'"metadata": {{"x": {nested}, ', 1).encode()
        yield Case(f"{depth} objects in the metadata", spoiled, earns, says)
    for depth in (10_000, 200_000):
        yield Case(f"{depth} lists, not closed", b"[" * depth, NONE, "nested too deep")
        yield Case(f"{depth} objects, not closed", b'{"a": ' * depth, NONE, "nested too deep")


def empty(_: Good) -> Iterator[Case]:
    """Nothing, or nothing that can be seen."""
    for what, data in {
        "no byte": b"", "a newline": b"\n", "blanks": b" \t\r\n " * 50, "a byte-order mark": b"\xef\xbb\xbf",
        "a byte-order mark and a newline": b"\xef\xbb\xbf\r\n",
    }.items():  # fmt: skip
        yield Case(what, data, NONE, "the file is empty")
    for size in (1, 100, 2**16):
        yield Case(f"{size} zero bytes", bytes(size), NONE, "only zero bytes")
    for what, data in {"an object": b"{}", "a list": b"[]", "a text": b'""'}.items():
        yield Case(f"empty JSON: {what}", data, NONE, "")
    for what, data in {"null": b"null", "a number": b"4", "true": b"true"}.items():
        yield Case(f"JSON: {what}", data, NONE, "plain text")


def encodings(good: Good) -> Iterator[Case]:
    """Saved in another encoding than UTF-8."""
    text = good.text.replace("# double_it", "# double_it für Größe – 二倍")
    yield Case("UTF-8", text.encode(), FULL)
    yield Case("UTF-8 with a byte-order mark", text.encode("utf-8-sig"), FULL)
    yield Case("two byte-order marks", b"\xef\xbb\xbf" + text.encode("utf-8-sig"), FULL)
    yield Case("ASCII escapes", json.dumps(good.copy(), ensure_ascii=True).encode("ascii"), FULL)
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield Case(name, text.encode(name), NONE, name[:6].upper())
    for name in ("latin-1", "cp1252", "cp850", "mac-roman", "gb18030", "shift-jis", "utf-7", "cp037"):
        spoiled = text.encode(name, "replace")
        yield Case(name, spoiled, NONE, "")


def invalid_utf8(good: Good) -> Iterator[Case]:
    """Bytes that are no UTF-8 among others that are."""
    for what, bad in {
        "a lone continuation": b"\x80", "a start without an end": b"\xc3", "overlong": b"\xc0\xaf",
        "half a surrogate pair": b"\xed\xa0\x80", "past the last character": b"\xf5\x80\x80\x80", "0xff": b"\xff",
        "0xfe 0xff in the middle": b"\xfe\xff",
    }.items():  # fmt: skip
        yield Case(f"{what}, in a text", good.bytes.replace(b"# double", b"# " + bad), NONE, "not UTF-8")
        yield Case(f"{what}, in a key", good.bytes.replace(b'"cells"', b'"' + bad + b'"'), NONE, "not UTF-8")
    yield Case("random bytes", bytes(range(200, 0, -1)) * 40, NONE, "")


def line_ends(good: Good) -> Iterator[Case]:
    """Windows and old Mac line ends in the file."""
    for what, end in {
        "Windows": "\r\n",
        "old Mac": "\r",
        "doubled": "\n\n",
        "Windows, doubled": "\r\r\n",
    }.items():
        yield Case(what, good.text.replace("\n", end).encode(), FULL)
    yield Case("Windows, with a byte-order mark", good.text.replace("\n", "\r\n").encode("utf-8-sig"), FULL)
    yield Case("one line", json.dumps(good.copy()).encode(), FULL)
    yield Case("Ctrl-Z at the end", good.bytes + b"\x1a", NONE, "something follows")


def zero_bytes(good: Good) -> Iterator[Case]:
    """Zero bytes, as a crash leaves them."""
    middle = len(good.bytes) // 2
    yield Case("at the end", good.bytes + bytes(512), NONE, "something follows")
    yield Case("in place of the second half", good.bytes[:middle] + bytes(middle), NONE, CUT)
    yield Case(
        "in place of the first half", bytes(middle) + good.bytes[middle:], NONE, "begins with zero bytes"
    )
    yield Case("in the middle", good.bytes[:middle] + bytes(16) + good.bytes[middle:], NONE, JSON)


def trailing_garbage(good: Good) -> Iterator[Case]:
    """A whole notebook and something behind it."""
    for what, more in {
        "the notebook again": good.bytes, "the end of a longer one": good.bytes[-300:], "a brace": b"}",
        "text": b"\nmy notes", "zip": b"PK\x03\x04", "comma": b",",
    }.items():  # fmt: skip
        yield Case(what, good.bytes + more, NONE, "something follows")
    yield Case("blanks", good.bytes + b" \n\t\r\n" * 10, FULL)
    yield Case("text in front", b"my notes\n" + good.bytes, NONE, "plain text")


def encoded_twice(good: Good) -> Iterator[Case]:
    """A notebook within JSON, or within base64."""
    once = json.dumps(good.text)
    yield Case("as a string", once.encode(), NONE, "written into JSON twice")
    yield Case("as a string in a string", json.dumps(once).encode(), NONE, "written into JSON twice")
    yield Case("in a list", f"[{good.text}]".encode(), NONE, "no notebook")
    yield Case(
        "in an object", f'{{"content": {good.text}, "type": "notebook"}}'.encode(), NONE, "no notebook"
    )
    yield Case("the list of its cells", json.dumps(good.copy()["cells"]).encode(), NONE, "no notebook")


def git_conflict(good: Good) -> Iterator[Case]:
    """Merged by git, and not looked at since."""
    lines = good.text.splitlines(keepends=True)
    for at in range(0, len(lines), len(lines) // 4):
        for style in ("", "||||||| 1a2b3c4\n" + lines[at]):
            ours = ["<<<<<<< HEAD\n", lines[at], style, "=======\n", lines[at], ">>>>>>> main\n"]
            spoiled = "".join([*lines[:at], *ours, *lines[at + 1 :]])
            what = f"at line {at + 1}{', with the base' if style else ''}"
            yield Case(what, spoiled.encode(), NONE, f"git conflict markers (line {at + 1})")
    crossed = good.text.replace("\n", "\r\n").replace("{", "{\r\n<<<<<<< HEAD\r\n", 1)
    yield Case("with Windows line ends", crossed.encode(), NONE, "git conflict markers (line 2)")


def git_placeholder(_: Good) -> Iterator[Case]:
    """What git keeps in place of a file."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n"
    yield Case("pointer of Git LFS", pointer, NONE, "Git LFS")
    yield Case("text of a link", b"../shared/double_it.ipynb", NONE, "plain text")
    yield Case("patch", b"diff --git a/x.ipynb b/x.ipynb\n--- a/x.ipynb\n+++ b/x.ipynb\n", NONE, "plain text")


def web_page(_: Good) -> Iterator[Case]:
    """A page saved in place of the notebook."""
    google = b'<!doctype html><html><head><base href="https://accounts.google.com/v3/signin/">'
    for what, data in {
        "login of Google (Colab)": google + b"<title>Sign in - Google Accounts</title>",
        "login of a learning platform": b'\n<html lang="de"><form><input type="password" name="pw"></form></html>',
        "login of JupyterHub": b"<!DOCTYPE HTML>\n<html><body><div id='login-main'>Sign in</div>",
    }.items():
        yield Case(what, data, NONE, "a web page that asks to log in")
    for what, data in {
        "page of GitHub": b"\xef\xbb\xbf<!DOCTYPE html>\n<html lang='en'><title>course/double_it.ipynb</title>",
        "page of nbconvert": b"<!-- saved -->\n<HTML><head><title>double_it</title></head></HTML>",
        "error 404": b"<html>\r\n<head><title>404 Not Found</title></head>",
    }.items():
        yield Case(what, data, NONE, "a web page")
    yield Case(
        "error of a store", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', NONE, "XML"
    )


def drive_placeholder(_: Good) -> Iterator[Case]:
    """What Google Drive keeps on a disk in place of a document."""
    new = {"": "WARNING! DO NOT EDIT THIS FILE!", "doc_id": "1a2b", "resource_key": "", "email": "a@b.c"}
    old = {"url": "https://docs.google.com/open?id=1a2b", "doc_id": "1a2b", "email": "a@b.c"}
    for what, data in {"new": new, "old": old}.items():
        yield Case(what, json.dumps(data).encode(), NONE, "a shortcut of Google Drive")
    shortcut = b"[InternetShortcut]\r\nURL=https://colab.research.google.com/drive/1a2b\r\n"
    yield Case("link of Windows", shortcut, NONE, "a shortcut")
    yield Case("address", b"https://colab.research.google.com/drive/1a2b", NONE, "plain text")


def another_file(good: Good) -> Iterator[Case]:
    """A file of another kind, renamed to .ipynb."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("double_it.ipynb", good.bytes)
    taped = io.BytesIO()
    with tarfile.open(fileobj=taped, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("double_it.ipynb"))
    for what, data, says in (
        ("zip", packed.getvalue(), "a zip file"),
        ("empty zip", b"PK\x05\x06" + bytes(18), "a zip file"),
        ("gzip", gzip.compress(good.bytes), "a packed file"),
        ("tar.gz", taped.getvalue(), "a packed file"),
        ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(range(40)), "a packed file"),
        ("rar", b"Rar!\x1a\x07\x01\x00", "a packed file"),
        ("PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF"),
        ("Word", packed.getvalue().replace(b"double_it.ipynb", b"word/documt.xml"), "a Word document"),
        ("old Word", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an Office document"),
        ("PNG", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "a picture"),
        ("JPEG", b"\xff\xd8\xff\xe0\x00\x10JFIF", "a picture"),
        ("RTF", rb"{\rtf1\ansi Hello}", "an Office document"),
        ("pickle", b"\x80\x04\x95\x10\x00\x00\x00", ""),
        ("notes of a Mac", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "what a Mac keeps beside a file"),
        ("Python script", b"def double_it(x):\n    return 2 * x\n", "plain text"),
        ("Python script with a dict", b"{'a': 1}\n", "not valid JSON"),
        ("jupytext, percent", b"# ---\n# jupyter:\n#   jupytext:\n# ---\n\n# %%\nx = 1\n", "plain text"),
        (
            "jupytext, Markdown",
            b"---\njupytext:\n  formats: md\n---\n\n```python\nx = 1\n```\n",
            "plain text",
        ),
        ("what a learner wrote", b"Sorry, I could not open it.", "plain text"),
    ):
        yield Case(what, data, NONE, says)


FILES = {
    "truncated JSON": truncated,
    "invalid JSON": invalid_json,
    "deep nesting": deep_nesting,
    "empty file": empty,
    "UTF-16 and other encodings": encodings,
    "invalid UTF-8": invalid_utf8,
    "Windows line ends": line_ends,
    "zero bytes": zero_bytes,
    "trailing garbage": trailing_garbage,
    "encoded twice": encoded_twice,
    "git conflict": git_conflict,
    "placeholder of git": git_placeholder,
    "login page": web_page,
    "placeholder of Google Drive": drive_placeholder,
    "another file renamed": another_file,
}
