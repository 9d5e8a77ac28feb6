"""Other files under a notebook's name, told by how they begin: what each is, and what to do about it."""

from __future__ import annotations

import re

_LOOK = 2**16  # bytes at the beginning that are looked at
MARK = b"\xef\xbb\xbf"  # of the byte order: some editors write it, some twice
# Git writes these at the beginning of a line.
CONFLICT = re.compile(r"^(?:<{7}|>{7}) \S", re.MULTILINE)

ITSELF = "hand in the .ipynb file itself"
COPY = "hand in a copy that JupyterLab opens"
_UNPACK = "unpack it and hand in the .ipynb file that is in it"

_BINARY = (
    (b"PK\x05\x06", f"a zip file: {_UNPACK}"),
    (b"\x1f\x8b", f"a packed file (gzip): {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a packed file (7z): {_UNPACK}"),
    (b"Rar!", f"a packed file (rar): {_UNPACK}"),
    (b"%PDF", f"a PDF: {ITSELF}"),
    (b"\xd0\xcf\x11\xe0", f"an Office document: {ITSELF}"),
    (rb"{\rtf", f"an Office document: {ITSELF}"),
    (b"\x89PNG", f"a picture: {ITSELF}"),
    (b"\xff\xd8\xff", f"a picture: {ITSELF}"),
    (b"\x00\x05\x16\x07", f"what a Mac keeps beside a file (its name began with ._): {ITSELF}"),
    (b"[InternetShortcut]", f"a shortcut to a page: {ITSELF}"),
    (b"version https://git-lfs", f"a pointer of Git LFS: run `git lfs pull` and {ITSELF}"),
)
# The longer ones first: the mark of UTF-16 is the beginning of that of UTF-32.
_WIDE = (
    (re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|[\s{]\0\0\0|\0\0\0[\s{]"), "UTF-32"),
    (re.compile(rb"\xff\xfe|\xfe\xff|[\s{]\0|\0[\s{]"), "UTF-16"),
)
_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_LOGIN = re.compile(
    rb"accounts\.google\.com|type=.?password|id=.?login|<title>[^<]*(?:sign|log)[ -]?in", re.IGNORECASE
)
_TEXT = re.compile(rb"[^\x00-\x08\x0e-\x1a\x1c-\x1f]*")


def impostor(data: bytes) -> str:
    """What these bytes are in place of a notebook and what to do, "" where they may be one.

    Args:
        data: the file, not empty.
    """
    if not data.strip(b"\0"):
        return "only zero bytes: saving or copying it failed: save it in JupyterLab and hand in again"
    head = data[:_LOOK].lstrip(MARK)
    if head.startswith(b"PK\x03\x04"):
        return f"a Word document: {ITSELF}" if b"word/" in head else f"a zip file: {_UNPACK}"
    for begins, what in _BINARY:
        if head.startswith(begins):
            return what
    for pattern, name in _WIDE:
        if pattern.match(head):
            return f"{name} text: save it as UTF-8, the encoding of notebooks, and hand in again"
    # A conflict of git is told later, with its line; it may be in the first.
    return "" if head.lstrip()[:1] in b'{["' or head.startswith(b"<<<<<<<") else _unlike_json(head)


def _unlike_json(head: bytes) -> str:
    if _PAGE.match(head):
        asks = " that asks to log in: log in," if _LOGIN.search(head) else ":"
        return f"a web page{asks} download the notebook once more and look whether JupyterLab opens it"
    if head.lstrip().startswith(b"<?xml"):
        return f"an XML file, perhaps what a server said in place of the notebook: {ITSELF}"
    if head.startswith(b"\0"):
        return f"a file that begins with zero bytes: saving or copying it failed: {COPY}"
    if _TEXT.fullmatch(head):
        return f"plain text (a script, say, or an export): {ITSELF}"
    return f"a file of another kind (it begins with {head[:4].hex(' ')}): {ITSELF}"
