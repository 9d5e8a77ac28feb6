"""A process of its own that grades one submission after another: bytes in, results out, one JSON line each.

Started with `python -m autograde.worker`. It is asked by `crew`, and knows nothing of classes or gradebooks.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograde.errors import GraderError
from autograde.lean import spare_imports
from autograde.lock import Limits
from autograde.question import Question, QuestionError, find
from autograde.room import Broken

if TYPE_CHECKING:
    from autograde.grading import Grader


def main() -> None:
    """Answer requests on standard input until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    spare_imports()
    from autograde.grading import Grader

    setup = json.loads(sys.stdin.readline())
    root = Path(setup["root"])
    with Grader(Limits(**setup["limits"]), working=Path(setup["working"])) as grader:
        grader.zygote.start()
        for line in sys.stdin:
            answers.write(json.dumps(_answer(grader, root, json.loads(line))) + "\n")
            answers.flush()


def _answer(grader: Grader, root: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        question: Question = find(request["slug"], root)
        if "problem" in request:
            result = grader.refused(question, request["problem"])
        else:
            result = grader.grade(question, base64.b64decode(request["data"]), request["seed"])
    except (GraderError, QuestionError, Broken) as error:
        return {"broken": str(error)}
    return {"result": result.to_json(), "missing": grader.zygote.missing}


if __name__ == "__main__":
    main()
