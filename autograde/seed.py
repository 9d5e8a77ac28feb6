"""The secret seed of a course, one number a question derived from it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from autograde.private import FOLDER, private
from autograde.question import QuestionError
from autograde.refusal import unusable

VARIABLE = "AUTOGRADE_SEED"  # `--seed` for everything that one command starts
FILE = FOLDER / "seed"


def course_seed(working: Path, slug: str, override: int | None = None) -> int:
    """The seed of one question: the same for every submission of a course, unknown outside it.

    Args:
        working: the folder of the gradebook; the secret is made there on first use, mode 600.
        slug: the question.
        override: a seed given on the command line, used in place of the secret.

    Returns:
        An integer in [0, 2**63).

    Raises:
        QuestionError: the file with the secret has lost its content.
        autograde.refusal.Refused: the file can't be read or made.
    """
    named = os.environ.get(VARIABLE) if override is None else str(override)
    secret = named or _secret(working)
    return int.from_bytes(hashlib.sha256(f"{secret}/{slug}".encode()).digest()[:8], "big") >> 1


def is_lost(working: Path) -> bool:
    """Whether the next `course_seed` of this folder makes a new secret."""
    return not os.environ.get(VARIABLE) and not (working / FILE).exists()


def _secret(working: Path) -> str:
    path = working / FILE
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise unusable(error, path) from error
    except UnicodeDecodeError:
        secret = ""
    if not secret.isalnum():
        # A seed that everybody could guess would give the hidden tests' inputs away.
        raise QuestionError(f"{path} is empty or damaged: put it back from a backup, or delete it and grade "
                            "again: a new seed is made, and everybody is graded again")  # fmt: skip
    return secret


def _make(path: Path) -> None:
    private(path.parent)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix="seed-", encoding="ascii") as made:
        made.write(secrets.token_hex(32) + "\n")
        made.flush()
        # A link appears whole or not at all: of two commands that start together one makes the secret, and
        # the other reads it. The temporary file is mode 600, and so is its link.
        with contextlib.suppress(FileExistsError):
            os.link(made.name, path)


def derived(seed: int, *names: str) -> int:
    """A number in [0, 2**63) that follows from the seed and these names and tells nothing of it."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
