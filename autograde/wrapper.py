"""One more wall around the learner's process, where an instructor wants one: a command that it is started by."""

from __future__ import annotations

import os
import shlex
import shutil

from autograde.errors import Explained

VARIABLE = "AUTOGRADE_WRAPPER"  # such as "bwrap --ro-bind / / --dev /dev --bind /tmp /tmp --unshare-net"


class WrapperError(Explained):
    """The command that is to be wrapped around is not there."""


def wrapper() -> list[str]:
    """The words of the command that starts the process that rooms are made from; none where none is named.

    Raises:
        WrapperError: there is no such program, or its words can't be read.
    """
    try:
        words = shlex.split(os.environ.get(VARIABLE, ""))
    except ValueError as error:
        raise WrapperError(f"{VARIABLE} can't be read ({error}): quote it as for a shell") from error
    if words and shutil.which(words[0]) is None:
        raise WrapperError(
            f"{VARIABLE} names {words[0]!r}, which is not there: install it, or unset {VARIABLE}"
        )
    return words
