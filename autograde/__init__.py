"""Auto-graded exercises: grading in a locked process, and the same checks in a learner's own notebook."""

from __future__ import annotations

__all__ = ["check", "configure"]


def check(slug: str, *, part: str | None = None, only: str | None = None) -> None:
    """Run a question's hidden tests on this notebook's namespace and show the card.

    Args:
        slug: the question, as in its file name ("softmax_logits").
        part: a part that only some machines can run ("cuda"); None for the rest.
        only: the name of one test, to run it again alone.

    Raises:
        autograde.card.NotYet: not every test passed (one line; the card is above it).
        autograde.question.QuestionError: there is no such question.
    """
    from autograde.checking import check as run

    run(slug, part=part, only=only)


def configure(c: object) -> None:
    """Make nbgrader grade in the room: call it from a course's `nbgrader_config.py` with its `c`."""
    from autograde.gradebook import configure as run

    run(c)
