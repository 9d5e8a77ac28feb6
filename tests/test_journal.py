"""The secret seed, and the journal of results."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import classroom
import pytest
import tiny_course

from autograde.digest import digest
from autograde.journal import Journal
from autograde.question import Question, QuestionError, find
from autograde.seed import FILE, VARIABLE, course_seed
from autograde.verdict import CellOutput, Outcome, Recognised, Result, Verdict

RESULT = Result(
    "double_it",
    (
        Verdict(
            "test_small",
            "doubles",
            Outcome.FAILED,
            3,
            "zwölf ≠ 8\n\u2028",
            task="a",
            part="extra",
            method=True,
        ),
    ),
    (Recognised("adds_two", "You add two.", "a"),),
    ("ran longer than 10 s",),
    ("a note",),
    "",
    (CellOutput(2, ({"output_type": "stream", "name": "stdout", "text": "line\nline"},)),),
    "0123",
)


@pytest.fixture(autouse=True)
def _no_seed_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def question(tmp_path: Path) -> Question:
    """A question with all of its files, its release among them."""
    root = tiny_course.build(tmp_path / "course")
    found = find("double_it", root)
    found.release.parent.mkdir(parents=True)
    found.release.write_bytes(found.source.read_bytes())
    found.apparatus.write_text("x = 1\n", encoding="utf-8")
    return found


def test_seed_is_kept_in_a_file_of_ones_own(tmp_path: Path) -> None:
    """The secret is made on first use, readable by its owner alone, and nothing else is left beside it."""
    before = os.umask(0)
    try:
        course_seed(tmp_path, "double_it")
    finally:
        os.umask(before)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_seed_is_stable_and_differs_by_question_and_course(tmp_path: Path) -> None:
    """A question of a course has one seed; another question, or another course, has another."""
    here = course_seed(tmp_path / "here", "double_it")
    assert course_seed(tmp_path / "here", "double_it") == here
    assert course_seed(tmp_path / "here", "add_up") != here
    assert course_seed(tmp_path / "there", "double_it") != here
    assert 0 <= here < 2**63


def test_seed_on_the_command_line_goes_before_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override, or AUTOGRADE_SEED, is the same everywhere, and makes no secret."""
    named = course_seed(tmp_path / "here", "double_it", 7)
    assert course_seed(tmp_path / "there", "double_it", 7) == named
    assert course_seed(tmp_path / "here", "double_it", 8) != named
    monkeypatch.setenv(VARIABLE, "7")
    assert course_seed(tmp_path / "here", "double_it") == named
    assert course_seed(tmp_path / "here", "double_it", 8) != named
    assert not (tmp_path / "here" / FILE).exists()


def test_empty_secret_is_refused(tmp_path: Path) -> None:
    """A seed file that lost its content is an error, never a seed that everybody can guess."""
    course_seed(tmp_path, "double_it")
    (tmp_path / FILE).write_text("\n", encoding="ascii")
    with pytest.raises(
        QuestionError, match=r"seed is empty or damaged: put it back from a backup, or delete it"
    ):
        course_seed(tmp_path, "double_it")


def test_commands_that_start_together_agree(tmp_path: Path) -> None:
    """Several processes that make the secret at the same moment all use the same one."""
    code = (
        "import sys; from pathlib import Path; from autograde.seed import course_seed\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(course_seed(Path(sys.argv[1]), 'double_it'))\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=classroom.environment(),
        )
        for _ in range(6)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    seeds = {process.communicate(timeout=60)[0] for process in started}
    assert seeds == {f"{course_seed(tmp_path, 'double_it')}\n"}


def test_result_survives_the_journal(tmp_path: Path) -> None:
    """Every field of a result comes back as it was, line breaks and all."""
    Journal(tmp_path / "j").put("k", RESULT)
    assert Journal(tmp_path / "j").get("k") == RESULT
    assert Journal(tmp_path / "j").get("other") is None


def test_journal_is_for_its_owner(tmp_path: Path) -> None:
    """The file holds learners' outputs: nobody else may read it."""
    Journal(tmp_path / "in" / "j").put("k", RESULT)
    assert stat.S_IMODE((tmp_path / "in" / "j").stat().st_mode) == 0o600


def test_missing_journal_is_empty(tmp_path: Path) -> None:
    """Asking a journal that is not there makes no file."""
    assert Journal(tmp_path / "j").get("k") is None
    assert list(tmp_path.iterdir()) == []


def test_last_result_of_a_key_counts(tmp_path: Path) -> None:
    """A submission that was graded again has its newer result."""
    journal = Journal(tmp_path / "j")
    journal.put("k", RESULT)
    journal.put("k", Result("double_it", problem="second"))
    found = Journal(tmp_path / "j").get("k")
    assert found is not None
    assert found.problem == "second"


def test_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    """A run that was killed while writing costs its last line only, and the next line is whole."""
    path = tmp_path / "j"
    Journal(path).put("a", RESULT)
    Journal(path).put("b", RESULT)
    path.write_bytes(path.read_bytes()[:-100])
    journal = Journal(path)
    assert journal.get("a") == RESULT
    assert journal.get("b") is None
    journal.put("c", RESULT)
    again = Journal(path)
    assert (again.get("a"), again.get("b"), again.get("c")) == (RESULT, None, RESULT)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'{"key": "k"}',
        b'{"key": [], "result": {}}',
        b'{"key": "k", "result": []}',
        b'{"key": "k", "result": {"slug": "x", "verdicts": [5]}}',
        b'{"key": "k", "result": {"slug": "x", "verdicts": [{"outcome": "won"}]}}',
        b"[" * 100_000,
    ],
    ids=lambda data: data[:60].decode("latin-1"),
)
def test_damaged_line_is_passed_over(tmp_path: Path, garbage: bytes) -> None:
    """Garbage between two lines is counted, and costs neither of them."""
    path = tmp_path / "j"
    Journal(path).put("a", RESULT)
    with path.open("ab") as file:
        file.write(b"\n" + garbage + b"\n")
    Journal(path).put("b", RESULT)
    journal = Journal(path)
    assert (journal.get("a"), journal.get("b"), journal.get("k")) == (RESULT, RESULT, None)
    assert journal.damaged == 1


def test_lines_of_another_process_are_seen(tmp_path: Path) -> None:
    """A journal that is open sees what another process adds."""
    journal = Journal(tmp_path / "j")
    journal.put("mine", RESULT)
    assert journal.get("theirs") is None
    code = (
        "import json, sys; from pathlib import Path; from autograde.journal import Journal\n"
        "from autograde.verdict import Result\n"
        "Journal(Path(sys.argv[1])).put('theirs', Result.from_json(json.loads(sys.argv[2])))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "j"), json.dumps(RESULT.to_json())],
        check=True, env=classroom.environment(),
    )  # fmt: skip
    assert journal.get("theirs") == RESULT
    assert journal.get("mine") == RESULT


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    """Processes that write at the same time leave every line whole."""
    code = (
        "import sys; from pathlib import Path; from autograde.journal import Journal\n"
        "from autograde.verdict import Result\n"
        "for i in range(30): Journal(Path(sys.argv[1])).put(sys.argv[2] + str(i), Result('x', problem='y' * 5000))\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "j"), name], env=classroom.environment())
        for name in "abc"
    ]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0]
    journal = Journal(tmp_path / "j")
    assert all(journal.get(f"{name}{i}") for name in "abc" for i in range(30))
    assert journal.damaged == 0


def test_compacting_loses_nothing(tmp_path: Path) -> None:
    """While processes write, and say everything several times, another compacts: the last word on each key is there."""
    path, code = tmp_path / "j", (
        "import sys; from pathlib import Path; from autograde.journal import Journal\n"
        "from autograde.verdict import Result\n"
        "for i in range(120): Journal(Path(sys.argv[1])).put(sys.argv[2] + str(i // 4), Result('x', problem=str(i)))\n"
    )  # fmt: skip
    reader = Journal(path)
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], env=classroom.environment())
        for name in "ab"
    ]
    while any(process.poll() is None for process in started):
        Journal(path).compact()
        reader.get("a0")
    assert [process.wait() for process in started] == [0, 0]
    with path.open("ab") as file:
        file.write(b"{torn")
    assert Journal(path).compact() == 1
    expected = {f"{name}{i}": Result("x", problem=str(4 * i + 3)) for name in "ab" for i in range(30)}
    again = Journal(path)
    assert {key: again.get(key) for key in expected} == expected
    assert all(reader.get(key) for key in expected)


def test_compacting_makes_it_small(tmp_path: Path) -> None:
    """Lines that newer ones replace are left out once they are more than half, and the file stays its owner's."""
    journal, path = Journal(tmp_path / "j"), tmp_path / "j"
    for number in range(9):
        journal.put("k", Result("x", problem=str(number)))
    size = path.stat().st_size
    assert journal.compact() == 0
    assert path.stat().st_size < size / 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    journal.put("k", RESULT)
    before = path.stat().st_ino
    assert journal.compact() == 0
    assert path.stat().st_ino == before, "half of two is not more than half"
    assert Journal(path).get("k") == RESULT


def changed(get: Callable[[Question], Path]) -> Callable[[Question], None]:
    """A change of one file by one byte."""

    def change(question: Question) -> None:
        path = get(question)
        path.write_bytes(path.read_bytes() + b" ")

    return change


def new_data(question: Question) -> None:
    """A data file that a hidden test may read."""
    (question.folder / "data").mkdir()
    (question.folder / "data" / "numbers.csv").write_text("1,2\n", encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        changed(lambda q: q.tests),
        changed(lambda q: q.mistakes),
        changed(lambda q: q.apparatus),
        changed(lambda q: q.source),
        changed(lambda q: q.release),
        lambda q: q.apparatus.unlink(),
        new_data,
    ],
    ids=["tests", "mistakes", "apparatus", "source", "release", "apparatus gone", "data"],
)
def test_key_follows_the_questions_files(question: Question, change: Callable[[Question], None]) -> None:
    """A result is looked up under another key once a file that it rests on has changed."""
    before = digest(question, b"data", 1)
    assert digest(question, b"data", 1) == before
    change(question)
    assert digest(question, b"data", 1) != before


def test_key_follows_bytes_seed_and_slug(question: Question) -> None:
    """Other bytes, another seed and another question are other keys."""
    keys = {digest(question, b"data", 1), digest(question, b"date", 1), digest(question, b"data", 2)}
    keys.add(digest(find("add_up", question.root), b"data", 1))
    assert len(keys) == 4


def test_key_does_not_follow_the_variants(question: Question) -> None:
    """Correct variants are for the laws: editing them grades nobody again."""
    before = digest(question, b"data", 1)
    question.variants.write_text("# more\n", encoding="utf-8")
    assert digest(question, b"data", 1) == before


def test_a_number_that_is_given_again_deceives_nobody(tmp_path: Path) -> None:
    """A journal that was replaced until its file has the first one's number is read from its beginning."""
    journal, path = Journal(tmp_path / "j"), tmp_path / "j"
    reader = Journal(path)
    for number in range(8):
        journal.put(f"k{number}", RESULT)
        assert reader.get(f"k{number}") == RESULT
        path.unlink()
        for _ in range(2):  # file systems give the number of a deleted file to the next one
            (tmp_path / "new").write_bytes(b"")
            Journal(tmp_path / "new").put(f"new{number}", RESULT)
            for filler in range(number + 3):
                Journal(tmp_path / "new").put(f"filler{filler}", RESULT)
            (tmp_path / "new").replace(path)
        assert reader.get(f"new{number}") == RESULT
