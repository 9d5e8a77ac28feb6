"""What nbgrader itself reads and copies of a submission: its plain files, and nothing that a link leads to."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from autograde.gradebook.results import question_of
from autograde.handin import home_of

TIMESTAMP = "timestamp.txt"
MAX_TIMESTAMP = 1000  # bytes


def keep_to_plain_files(autograde: Any) -> None:
    """Have nbgrader's autograde leave what is no plain file of a submission where it is.

    It copies all that was handed in beside the notebooks into autograded/, from where feedback gets it. A link to
    a file of the instructor's would be copied as that file, a pipe waits for ever, and a device has no end.

    Args:
        autograde: nbgrader's converter, which has looked for submissions and read none.
    """
    coursedir = autograde.coursedir
    odd = [path for folder in autograde.assignments for path in _odd(Path(folder))]
    for path in odd:
        autograde.log.warning("%s: no plain file of the submission, left where it is", path)
    # nbgrader joins a pattern to the folder that it looks at: a whole path stays that path.
    coursedir.ignore = list(dict.fromkeys((*coursedir.ignore, *(glob.escape(str(path)) for path in odd))))
    autograde.assignments = {
        folder: [name for name in notebooks if is_plain(Path(name)) or _ours(Path(name), coursedir)]
        for folder, notebooks in autograde.assignments.items()
    }
    coursedir.get_existing_timestamp = lambda folder: _timestamp(coursedir, Path(folder))


def is_plain(path: Path) -> bool:
    """Whether there is a file with this name, and no link, pipe, socket or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _ours(path: Path, coursedir: Any) -> bool:
    """Whether we read it, and say what is wrong with it."""
    return question_of(path.stem, Path(coursedir.root)) is not None


def _odd(folder: Path) -> Iterator[Path]:
    if folder.resolve() != home_of(folder):
        yield folder
        return
    for top, _, names in os.walk(folder):
        yield from (path for name in names if not is_plain(path := Path(top, name)))


def _timestamp(coursedir: Any, folder: Path) -> datetime | None:
    """When a submission was handed in, as nbgrader reads it; None where that is not to be read."""
    path = folder / TIMESTAMP
    if not is_plain(path) or path.stat().st_size > MAX_TIMESTAMP:
        return None
    try:
        found: datetime | None = type(coursedir).get_existing_timestamp(coursedir, str(folder))
    except Exception:  # noqa: BLE001  nbgrader means to fail here, and fails at that
        coursedir.log.warning("%s: holds no time, and is not used", path)
        return None
    return found
