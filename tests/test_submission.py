"""A notebook that is not trusted: what runs, what is put right, what is refused."""

from __future__ import annotations

import copy
import json
import re
import warnings
from pathlib import Path
from typing import Any

import classroom
import nbformat
import pytest
from classroom import bytes_of, cell_of_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbgrader.preprocessors import CheckCellMetadata

from autograde.notebook import MAX_BYTES, MAX_CELLS, SubmissionError
from autograde.submission import Submission, read

MINE = "def double_it(x):\n    return x + x"
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
# Every place of a notebook where something else may stand.
KEYS = ("cells", "metadata", "nbformat", "nbformat_minor", "source", "cell_type", "nbgrader", "grade_id", "id",
        "outputs", "output_type", "text", "data", "worksheets", "kernelspec", "language", "tags", "attachments",
        "signature", "orig_nbformat", "input", "collapsed", "level", "prompt_number")  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The release of a question, as plain JSON."""
    root = classroom.course(tmp_path_factory.mktemp("course"))
    found: dict[str, Any] = json.loads(
        (root / "release" / "warmup" / "double_it.ipynb").read_text(encoding="utf-8")
    )
    return found


@pytest.fixture
def notebook(release: dict[str, Any]) -> dict[str, Any]:
    """A learner's notebook, to be spoiled."""
    mine = copy.deepcopy(release)
    cell_of_json(mine, "double_it")["source"] = MINE
    return mine


def names(submission: Submission) -> list[str]:
    """The cells that run, in order."""
    return [cell.name for cell in submission.cells]


def source_of(submission: Submission, name: str) -> str:
    """The code that runs under this name."""
    return next(cell.source for cell in submission.cells if cell.name == name)


def same_to_run(submission: Submission) -> bool:
    """Whether what runs is the setup, the learner's cell and the try-it cell, and the notebook is valid."""
    nbformat.validate(submission.notebook)
    return names(submission) == ["setup", "double_it", "try_double_it"] and (
        source_of(submission, "double_it") == MINE
    )


def test_honest_notebook_runs_as_it_is(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Setup, the learner's cell and the try-it cell run; there is nothing to note."""
    submission = read(bytes_of(notebook), release)
    assert same_to_run(submission)
    assert submission.notes == ()


def test_check_cell_is_never_run(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Check cells stay in the notebook and are not among the cells to run."""
    submission = read(bytes_of(notebook), release)
    assert "check" not in names(submission)
    assert [c.source for c in submission.notebook.cells if c.id == "check"] == ['check("double_it")']


@pytest.mark.parametrize("name", ["setup", "try_double_it", "check", "title"])
def test_locked_cell_is_restored(notebook: dict[str, Any], release: dict[str, Any], name: str) -> None:
    """An edited locked cell gets its released text back, and a note names it."""
    cell_of_json(notebook, name)["source"] = "import sys; sys.exit()"
    submission = read(bytes_of(notebook), release)
    assert same_to_run(submission)
    assert submission.notes == (f"cell '{name}' was edited: the released text was used",)
    assert "sys.exit" not in json.dumps(submission.notebook)


def test_blank_space_in_a_locked_cell_is_no_edit(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Trailing blanks and Windows line ends in a locked cell are not worth a note."""
    cell = cell_of_json(notebook, "try_double_it")
    cell["source"] = "".join(cell["source"]) + "  \r\n\r\n"
    assert read(bytes_of(notebook), release).notes == ()


@pytest.mark.parametrize(
    "change",
    [
        {"points": 1000},
        {"locked": False, "solution": True},
        {"locked": True, "solution": False, "grade": True, "points": 9},
        {"schema_version": 99},
        {"task": True},
        {"checksum": "0" * 32},
    ],
)
@pytest.mark.parametrize("name", ["setup", "double_it", "try_double_it", "check"])
def test_edited_fields_change_nothing(
    notebook: dict[str, Any], release: dict[str, Any], name: str, change: dict[str, Any]
) -> None:
    """Points and flags of a submission decide nothing: the clean notebook has those of the release."""
    honest = read(bytes_of(notebook), release).notebook
    cell_of_json(notebook, name)["metadata"]["nbgrader"].update(change)
    submission = read(bytes_of(notebook), release)
    assert submission.notebook == honest
    assert submission.notes == ()


def test_tags_and_notebook_metadata_are_dropped(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Tags of cells and metadata of the notebook are those of the release."""
    honest = read(bytes_of(notebook), release).notebook
    for cell in notebook["cells"]:
        cell["metadata"].update(tags=["skip-execution", "answer", "raises-exception"], editable=True)
    notebook["metadata"] = {"widgets": {"x": 1}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    assert read(bytes_of(notebook), release).notebook == honest


def test_outputs_are_dropped(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Outputs that came with the file, forged or not, are gone."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "10 of 10"}]
            cell["execution_count"] = 7
    clean = read(bytes_of(notebook), release).notebook
    assert all(c.outputs == [] and c.execution_count is None for c in clean.cells if c.cell_type == "code")


def test_swapped_ids_keep_each_name_its_kind(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Where a learner's cell takes a locked cell's name, the released text runs under it."""
    mine, check = cell_of_json(notebook, "double_it"), cell_of_json(notebook, "check")
    mine["metadata"], check["metadata"] = check["metadata"], mine["metadata"]
    submission = read(bytes_of(notebook), release)
    assert "cell 'check' was edited: the released text was used" in submission.notes
    assert source_of(submission, "double_it") == 'check("double_it")'
    assert [c.source for c in submission.notebook.cells if c.id == "check"] == ['check("double_it")']


@pytest.mark.parametrize("kind", ["markdown", "raw", "heading", "", None, 3])
def test_changed_cell_type_changes_nothing(
    notebook: dict[str, Any], release: dict[str, Any], kind: Any
) -> None:
    """A cell of the release has the type that it has there."""
    cell_of_json(notebook, "double_it")["cell_type"] = kind
    assert same_to_run(read(bytes_of(notebook), release))


@pytest.mark.parametrize("name", ["setup", "try_double_it", "check", "check_extra", "title"])
def test_deleted_cell_is_put_back_in_its_place(
    notebook: dict[str, Any], release: dict[str, Any], name: str
) -> None:
    """A cell of the release that is missing is there again, where it belongs, with a note."""
    whole = [cell["id"] for cell in notebook["cells"]]
    notebook["cells"].remove(cell_of_json(notebook, name))
    submission = read(bytes_of(notebook), release)
    assert same_to_run(submission)
    assert [cell.id for cell in submission.notebook.cells] == whole
    assert submission.notes == (f"cell '{name}' was missing: the released one was put back",)


def test_deleted_answer_comes_back_as_the_stub(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A solution cell that was deleted is the released stub, which earns nothing."""
    notebook["cells"].remove(cell_of_json(notebook, "double_it"))
    assert "NotImplementedError" in source_of(read(bytes_of(notebook), release), "double_it")


def test_no_cell_at_all_gives_the_release(release: dict[str, Any]) -> None:
    """A notebook without cells is the release again, in its order."""
    empty = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    submission = read(bytes_of(empty), release)
    assert [cell.id for cell in submission.notebook.cells] == [cell["id"] for cell in release["cells"]]
    assert len(submission.notes) == len(release["cells"])


def test_second_cell_of_a_name_is_an_ordinary_one(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Of two cells with one grade_id the first counts; the second runs as a cell of the learner's own."""
    again = copy.deepcopy(cell_of_json(notebook, "double_it"))
    again["source"] = "double_it = None"
    notebook["cells"].append(again)
    submission = read(bytes_of(notebook), release)
    nbformat.validate(submission.notebook)
    last = len(notebook["cells"])
    assert names(submission) == ["setup", "double_it", "try_double_it", f"cell {last}"]
    assert source_of(submission, "double_it") == MINE
    assert submission.notebook.cells[-1].metadata == {}
    assert submission.notes == ("cell 'double_it' is there twice: the second is run as an ordinary cell",)


def test_extra_cells_run_in_their_order(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Cells of the learner's own are kept and run where they stand; text cells are kept."""

    def extra(source: str, kind: str = "code") -> dict[str, Any]:
        return {"cell_type": kind, "id": "same", "metadata": {}, "source": source, "outputs": []}

    at = notebook["cells"].index(cell_of_json(notebook, "double_it"))
    notebook["cells"][at:at] = [extra("before = 1"), extra("my notes", "markdown")]
    notebook["cells"].append(extra("after = 2"))
    submission = read(bytes_of(notebook), release)
    nbformat.validate(submission.notebook)
    assert [cell.source for cell in submission.cells][1:3] == ["before = 1", MINE]
    assert submission.cells[-1].source == "after = 2"
    assert "my notes" in [cell.source for cell in submission.notebook.cells]
    for cell in submission.cells:
        assert submission.notebook.cells[cell.index].source == cell.source


@pytest.mark.parametrize("place", [-1, 3])
def test_setup_runs_first_wherever_it_stands(
    notebook: dict[str, Any], release: dict[str, Any], place: int
) -> None:
    """A setup cell that was moved down still runs before everything else."""
    setup = cell_of_json(notebook, "setup")
    notebook["cells"].remove(setup)
    notebook["cells"].insert(place, setup)
    assert names(read(bytes_of(notebook), release))[0] == "setup"


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
def test_older_minor_versions_are_read(
    notebook: dict[str, Any], release: dict[str, Any], version: int
) -> None:
    """A notebook of format 4.0 to 4.4, without cell ids, is read, and what is kept is 4.5."""
    notebook["nbformat_minor"] = version
    for cell in notebook["cells"]:
        cell.pop("id")
    submission = read(bytes_of(notebook), release)
    assert same_to_run(submission)
    assert submission.notebook.nbformat_minor == 5


def test_format_3_is_upgraded(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A notebook that was saved as format 3 is read like any other."""
    old = nbformat.convert(nbformat.reads(json.dumps(notebook), as_version=4), 3)
    assert same_to_run(read(json.dumps(old).encode(), release))


@pytest.mark.parametrize("value", [None, "same", 5, "", "a b", "x" * 200, ["list"]])
def test_bad_ids_are_put_right(notebook: dict[str, Any], release: dict[str, Any], value: Any) -> None:
    """Missing, duplicate, long and malformed cell ids leave a valid notebook."""
    for cell in notebook["cells"]:
        cell["id"] = value
    notebook["cells"] += [{"cell_type": "markdown", "metadata": {}, "source": "mine", "id": "setup"}] * 2
    assert same_to_run(read(bytes_of(notebook), release))


def test_source_as_lines_is_read(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A source may be a list of lines, as files have it."""
    cell_of_json(notebook, "double_it")["source"] = MINE.splitlines(keepends=True)
    assert same_to_run(read(bytes_of(notebook), release))


def test_lone_surrogate_can_be_written(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Half a character in the source does not stop the notebook from being saved."""
    cell_of_json(notebook, "double_it")["source"] = "x = '\ud800'"
    nbformat.writes(read(bytes_of(notebook), release).notebook).encode("utf-8")


def test_windows_file_is_read(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A byte-order mark and Windows line ends in the file are no obstacle."""
    data = json.dumps(notebook, indent=1).replace("\n", "\r\n").encode("utf-8-sig")
    submission = read(data, release)
    assert same_to_run(submission)
    assert submission.notes == ()


def test_windows_line_ends_in_code_are_kept_runnable(
    notebook: dict[str, Any], release: dict[str, Any]
) -> None:
    """Windows line ends within a cell compile to the same program."""
    cell_of_json(notebook, "double_it")["source"] = MINE.replace("\n", "\r\n")
    space: dict[str, Any] = {}
    exec(compile(source_of(read(bytes_of(notebook), release), "double_it"), "cell", "exec"), space)
    assert space["double_it"](3) == 6


def test_conflict_of_git_in_a_cell_is_noted(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """Conflict markers in the learner's code are named, since Python would only say that its syntax is wrong."""
    cell_of_json(notebook, "double_it")["source"] = f"<<<<<<< HEAD\n{MINE}\n=======\n>>>>>>> main"
    (note,) = read(bytes_of(notebook), release).notes
    assert note == "cell 'double_it' has git conflict markers: settle the conflict and hand in again"


@pytest.mark.parametrize("fields", [{"language": "R"}, {"language": "julia", "name": "ir"}])
def test_other_language_is_noted(
    notebook: dict[str, Any], release: dict[str, Any], fields: dict[str, Any]
) -> None:
    """A notebook that names another language is run as Python, and the note says so."""
    notebook["metadata"]["kernelspec"].update(fields)
    submission = read(bytes_of(notebook), release)
    assert same_to_run(submission)
    assert submission.notes == (
        f"the notebook names the language {fields['language']!r}: it was run as Python",
    )


@pytest.mark.parametrize(
    ("data", "says", "do"),
    [
        (b"", "empty", "save the notebook and hand in again"),
        (b" \n\t", "empty", "save the notebook and hand in again"),
        (b'{"cells": [', "ends in the middle", "hand in a copy that JupyterLab opens"),
        (b'{"cells" []}', "not valid JSON from line 1, column 10 on (Expecting ':'", "hand in a copy that"),
        (b"PK\x03\x04 a zip", "a zip file", "unpack it"),
        (b"\x00" * 100, "only zero bytes", "save it in JupyterLab and hand in again"),
        (b"[" * 200_000, "nested too deep", "hand in a copy that JupyterLab opens"),
        (b'{"a": ' * 5000, "nested too deep", "hand in a copy that JupyterLab opens"),
        (b'{"nbformat": ' + b"9" * 5000 + b"}", "thousands of digits", "hand in a copy that JupyterLab opens"),
        ('{"cells": "ü"}'.encode("latin-1"), "byte 11 is not UTF-8", "hand in a copy that JupyterLab opens"),
        ('{"nbformat": 4}'.encode("utf-16"), "UTF-16 text", "save it as UTF-8"),
        (b'{"a": 1,\n<<<<<<< HEAD\n"b": 2}', "git conflict markers (line 2)", "settle the conflict"),
        (b'{"nbformat": 4}\n{}', "ends at line 2 and something follows", "delete that"),
        (b"[]", "no notebook", "hand in the .ipynb file"),
        (b'"text"', "into JSON twice", "hand in the .ipynb file"),
        (b'{"cells": []}', "does not say its `nbformat`", "hand in the .ipynb file"),
        (b'{"nbformat": "4", "cells": []}', "does not say its `nbformat`", "hand in the .ipynb file"),
        (b'{"nbformat": true, "cells": []}', "does not say its `nbformat`", "hand in the .ipynb file"),
        (b'{"nbformat": 4}', "its cells are not as format 4", "hand in a copy that JupyterLab opens"),
        (b'{"nbformat": 4, "cells": 5}', "its cells are not as", "hand in a copy that JupyterLab opens"),
        (b'{"nbformat": 4, "cells": {"a": 1}}', "its cells are not as", "hand in a copy that JupyterLab opens"),
        (b'{"nbformat": 4, "cells": ["a", 1]}', "its cells are not as", "hand in a copy that JupyterLab opens"),
        (b'{"nbformat": 99, "cells": []}', "format is 99, newer than any", "save it in JupyterLab"),
        (b'{"nbformat": 0, "cells": []}', "format is 0, which never was", "save it in JupyterLab"),
        (b'{"nbformat": -4, "cells": []}', "format is -4, which never was", "save it in JupyterLab"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_refused(release: dict[str, Any], data: bytes, says: str, do: str) -> None:
    """The refusal says what is wrong with the file and what to do about it."""
    with pytest.raises(SubmissionError) as refused:
        read(data, release)
    assert says in str(refused.value)
    assert do in str(refused.value)
    assert len(str(refused.value)) < 300


def test_huge_file_is_refused(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A file over the limit is refused before it is parsed, with the way to make it smaller."""
    with pytest.raises(SubmissionError, match=r"17 MiB, more than 16: clear the outputs"):
        read(b" " * (MAX_BYTES + 2**20), release)


def test_thousands_of_cells_are_refused(notebook: dict[str, Any], release: dict[str, Any]) -> None:
    """A notebook of 100,000 cells is refused by its number of cells."""
    notebook["cells"] = [{"cell_type": "code", "metadata": {}, "source": "", "outputs": []}] * 100_000
    with pytest.raises(
        SubmissionError, match=rf"100,000 cells, more than {MAX_CELLS:,}: delete the empty ones"
    ):
        read(bytes_of(notebook), release)


def read_or_refused(raw: Any, release: dict[str, Any]) -> None:
    """Read what may be no notebook: either it is refused with what to do, or nbgrader takes what comes out."""
    before, refusal = copy.deepcopy(release), ""
    try:
        submission = read(json.dumps(raw).encode(), release)
    except SubmissionError as refused:
        refusal = str(refused)
    if refusal:
        assert re.search(r": (hand in|save it|delete|open it|clear)", refusal)
        assert len(refusal) < 300
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it would repair ids, and warn
            nbformat.validate(submission.notebook)
        nbformat.writes(submission.notebook).encode("utf-8")
        CheckCellMetadata().preprocess(submission.notebook, {})
        kept = [cell.metadata["nbgrader"]["grade_id"] for cell in submission.notebook.cells if cell.metadata]
        assert sorted(kept) == sorted(cell["metadata"]["nbgrader"]["grade_id"] for cell in release["cells"])
        assert "setup" in names(submission)
        for cell in submission.cells:
            assert submission.notebook.cells[cell.index].source == cell.source
    assert release == before


# What a cell of a real notebook has, each part of it now and then something else.
NAMES = st.sampled_from(
    ["title", "setup", "double_it", "try_double_it", "check", "check_extra", "mine", "", None]
)
FIELDS = st.fixed_dictionaries(
    {"grade_id": NAMES},
    optional={"grade": st.booleans(), "locked": st.booleans(), "solution": st.booleans(), "points": SCALARS},
)
OUTPUTS = st.lists(
    st.fixed_dictionaries({"output_type": st.sampled_from(["stream", "error", "display_data"])}) | SCALARS,
    max_size=2,
)
LIKELY = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw", "heading"])},
    optional={
        "id": st.sampled_from(["a", "setup", "check", ""]) | SCALARS,
        "source": st.text(max_size=20) | st.lists(st.text(max_size=9), max_size=3) | SCALARS,
        "metadata": st.fixed_dictionaries({}, optional={"nbgrader": FIELDS | SCALARS, "tags": ANYTHING})
        | SCALARS,
        "outputs": OUTPUTS | SCALARS,
        "execution_count": SCALARS,
        "attachments": ANYTHING,
    },
)


@settings(FUZZ, max_examples=80)
@given(cells=st.lists(LIKELY, max_size=9), place=st.integers(0, 6), minor=st.integers(0, 6))
def test_any_likely_notebook_is_read_or_refused(
    release: dict[str, Any], cells: list[Any], place: int, minor: int
) -> None:
    """Cells put among those of the release, with names, types and parts of real ones, leave a notebook for nbgrader."""
    raw = copy.deepcopy(release)
    raw["nbformat_minor"] = minor
    raw["cells"][place:place] = cells
    read_or_refused(raw, release)


@FUZZ
@given(raw=ANYTHING)
def test_any_json_is_read_or_refused(release: dict[str, Any], raw: Any) -> None:
    """Whatever JSON stands in place of the notebook, nothing but SubmissionError comes out."""
    read_or_refused(raw, release)


@FUZZ
@given(cells=ANYTHING, version=st.integers(-1, 6), minor=st.none() | st.integers(-1, 9))
def test_any_cells_are_read_or_refused(
    release: dict[str, Any], cells: Any, version: int, minor: int | None
) -> None:
    """Whatever stands in place of the cells, in any format, nothing but SubmissionError comes out."""
    raw = {"nbformat": version, "nbformat_minor": minor, "metadata": {}, "cells": cells, "worksheets": cells}
    read_or_refused(raw, release)


@FUZZ
@given(cell=st.dictionaries(st.sampled_from(KEYS), ANYTHING), version=st.integers(1, 4))
def test_any_cell_is_read_or_refused(release: dict[str, Any], cell: dict[str, Any], version: int) -> None:
    """Whatever fields a cell has, nothing but SubmissionError comes out."""
    raw = {"nbformat": version, "metadata": {}, "cells": [cell], "worksheets": [{"cells": [cell]}]}
    read_or_refused(raw, release)


@FUZZ
@given(metadata=ANYTHING, field=ANYTHING, spec=ANYTHING)
def test_any_metadata_is_read_or_refused(
    release: dict[str, Any], metadata: Any, field: Any, spec: Any
) -> None:
    """Whatever stands in place of metadata, of a cell or of the notebook, nothing but SubmissionError comes out."""
    raw = copy.deepcopy(release)
    raw["cells"][1]["metadata"] = metadata
    raw["cells"][2]["metadata"]["nbgrader"] = field
    raw["cells"][3]["metadata"]["nbgrader"]["grade_id"] = field
    raw["metadata"] = {"kernelspec": spec} if metadata is None else metadata
    read_or_refused(raw, release)


def test_reading_writes_nothing(notebook: dict[str, Any], release: dict[str, Any], tmp_path: Path) -> None:
    """The release that is passed in stays as it is when the clean notebook is changed."""
    before = copy.deepcopy(release)
    clean = read(bytes_of(notebook), release).notebook
    clean.cells[0].metadata["nbgrader"]["points"] = 99
    clean.metadata["kernelspec"]["name"] = "other"
    assert release == before
