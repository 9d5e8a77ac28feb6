"""`autograde new`: the files of a question, each to be filled in; the laws lead from there to a finished one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autograde.laws.files import MAX_SLUG
from autograde.laws.notebooks import PLACEHOLDER
from autograde.question import SYLLABUS, Question, QuestionError, find, syllabus

ENTRY = """
[{topic}.questions.{slug}]
title = "{title}"
difficulty = 1
minutes = 20
prerequisites = []
"""

TESTS = '''from __future__ import annotations

import pytest


@pytest.mark.points(1)
def test_doubles(student, rng, close):
    """Every entry is doubled."""
    x = rng.standard_normal((3, 4))
    close(student.{slug}(x), x + x)
'''

MISTAKES = """# At least 5 (3 at difficulty 1, 10 for a coding question); a change to the reference solution each.
# [squares]
# cell = "{slug}"
# old = "2 * x"
# new = "x * x"
# says = "What they did, in a sentence. What to think about, in another."
"""

VARIANTS = """# At least 2 (4 for a coding question) correct solutions that look different.
# [sum]
# cell = "{slug}"
# old = "2 * x"
# new = "x + x"
"""

TITLE = """# {title}

> **The interviewer asks:** {what} The question in our own words.

**Difficulty** ●○○○○ &nbsp;·&nbsp; **Time** 20 minutes &nbsp;·&nbsp; **Points** 1"""

SOLUTION = '''def {slug}(x):
    """Double every entry.

    Args:
        x: array of any shape.

    Returns:
        An array of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION'''


def make(root: Path, topic: str, slug: str) -> list[Path]:
    """Write the files of a new question and list it in the syllabus.

    Args:
        root: the checkout.
        topic: a topic of the syllabus, or a new one.
        slug: the new question.

    Returns:
        The files that were written.

    Raises:
        QuestionError: the slug or topic is no name, or is taken.
    """
    for name in (topic, slug):
        if not name.isidentifier() or len(name) > MAX_SLUG:
            raise QuestionError(f"'{name}' is no Python identifier of at most {MAX_SLUG} characters")
    taken = [q for rows in syllabus(root).values() for q in rows if q.slug == slug]
    if taken:
        raise QuestionError(f"'{slug}' is taken, in {taken[0].topic}: a slug is one question, name another")
    _list(root, topic, slug)
    question = find(slug, root)
    source = json.dumps(_notebook(question), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    files = {
        question.source: source,
        question.tests: TESTS.format(slug=slug),
        question.mistakes: MISTAKES.format(slug=slug),
        question.variants: VARIANTS.format(slug=slug),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [root / SYLLABUS, *files]


def _list(root: Path, topic: str, slug: str) -> None:
    """Add the entry at the end of its topic, so that the order of teaching is kept."""
    path = root / SYLLABUS
    text = path.read_text(encoding="utf-8").rstrip() + "\n"
    if f"[{topic}]\n" not in text:
        text += f'\n[{topic}]\ntitle = "{topic.replace("_", " ").capitalize()}"\n'
    entry = ENTRY.format(topic=topic, slug=slug, title=slug.replace("_", " ").capitalize())
    lines = text.splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if line.startswith((f"[{topic}]", f"[{topic}.")))
    end = next((i for i in range(last + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    path.write_text(
        "".join([*lines[:end], entry.lstrip() if end < len(lines) else entry, *lines[end:]]), encoding="utf-8"
    )


def _notebook(question: Question) -> dict[str, Any]:
    slug = question.slug

    def words(name: str, heading: str, what: str) -> dict[str, Any]:
        return _cell("markdown", name, f"{heading}\n\n{PLACEHOLDER} {what}", locked=True)

    cells = [
        _cell("markdown", "title", TITLE.format(title=question.title, what=PLACEHOLDER), locked=True),
        _cell("code", "setup", "import numpy as np\n\nfrom autograde import check", locked=True),
        words(
            "idea", "## The idea", "At most 150 words and the formulas: enough to start, not the algorithm."
        ),
        words(
            f"task_{slug}",
            "## Task",
            "Signature, shapes, dtypes, conventions, errors, an example with small numbers.",
        ),
        _cell("code", slug, SOLUTION.format(slug=slug), solution=True),
        _cell(
            "code", f"try_{slug}", f"assert np.allclose({slug}(np.ones(2)), [2, 2])", locked=True, points=0
        ),
        _cell("code", "check", f'check("{slug}")', locked=True, points=1),
        words(
            "hints",
            "## Hints",
            "Three folded layers (details, summary): where to look, the key step, nearly the code.",
        ),
        words(
            "say", "## Say it", "The follow-up that an interviewer asks next, to answer aloud in 60 seconds."
        ),
        {
            "cell_type": "markdown",
            "id": "answer-1",
            "metadata": {"tags": ["answer"]},
            "source": f"## Answer\n\n{PLACEHOLDER} The derivation, five spoken sentences, what people get wrong, "
            "one thing to read. A plot is a code cell with the tag `answer` and an `alt` in its metadata.",
        },
    ]
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def _cell(
    kind: str,
    name: str,
    source: str,
    *,
    locked: bool = False,
    solution: bool = False,
    points: int | None = None,
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "grade": points is not None,
        "grade_id": name,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        about["points"] = points
    cell = {
        "cell_type": kind,
        "id": name.replace("_", "-"),
        "metadata": {"nbgrader": about},
        "source": source,
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
