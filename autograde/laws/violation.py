"""One broken law."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """What is broken.

    Attributes:
        law: its number in CONTRIBUTING.md; 0 where a file can't even be read.
        where: the file, or the question and the thing in it.
        what: what was found.
        do: what to do next.
    """

    law: int
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        name = f"law {self.law}" if self.law else "error"
        return f"    {name}  {self.where}: {self.what}\n           {self.do}"
