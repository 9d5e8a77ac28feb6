"""The bytes of a notebook, read without trusting them: its cells in the newest format, or why it has none.

What JupyterLab opens is read. Anything else is refused with what the file is, as far as it can be told, and what
to do about it.
"""

from __future__ import annotations

import json
import warnings
from typing import Any, NoReturn

from autograde.errors import Explained
from autograde.impostor import CONFLICT, COPY, ITSELF, MARK, impostor

MAX_BYTES = 16 * 2**20
MAX_CELLS = 2000

SAVE = "save it in JupyterLab and hand in again"


class SubmissionError(Explained):
    """The file is no notebook that can be graded; the message says why and what to do."""


def parsed(data: bytes) -> Any:
    """The notebook in these bytes, upgraded to format 4; its cells are dicts, with anything in them.

    Raises:
        SubmissionError: no notebook, or one too large to be meant.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    return _upgraded(_fields(_json(data)))


def too_large(size: int) -> SubmissionError:
    """The refusal of a file of so many bytes."""
    return SubmissionError(
        f"the file has {-(-size // 2**20)} MiB, more than {MAX_BYTES // 2**20}: "
        "clear the outputs (Edit → Clear Outputs of All Cells), save and hand in again"
    )


def _json(data: bytes) -> Any:
    if not data.lstrip(MARK).strip():
        raise SubmissionError("the file is empty: save the notebook and hand in again")
    if what := impostor(data):
        raise SubmissionError(f"not a notebook but {what}")
    try:
        text = data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"not a notebook: byte {error.start} is not UTF-8, the encoding of notebooks: {COPY}"
        ) from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        _not_json(text, error)
    except ValueError:
        raise SubmissionError(
            f"not a notebook: not valid JSON (a number of thousands of digits): {COPY}"
        ) from None
    except RecursionError:
        raise SubmissionError(f"not a notebook: nested too deep: {COPY}") from None


def _not_json(text: str, error: json.JSONDecodeError) -> NoReturn:
    if conflict := CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        raise SubmissionError(
            f"the notebook has git conflict markers (line {line}): settle the conflict, see that "
            "JupyterLab opens it and hand in again"
        ) from None
    if error.msg == "Extra data":
        raise SubmissionError(
            f"the notebook ends at line {error.lineno} and something follows: delete that, or {COPY}"
        ) from None
    # A whole notebook ends with a brace; a text that never ends swallows it.
    whole = text.rstrip()
    if error.pos >= len(whole) or not whole.endswith("}") or error.msg.startswith("Unterminated"):
        raise SubmissionError(
            f"the file ends in the middle of the notebook: it was not saved or copied to its end: {COPY}"
        ) from None
    raise SubmissionError(
        f"not a notebook: not valid JSON from line {error.lineno}, column {error.colno} on ({error.msg}): {COPY}"
    ) from None


def _fields(raw: Any) -> dict[str, Any]:
    if isinstance(raw, str):
        raise SubmissionError(f"a notebook that was written into JSON twice, as one long text: {ITSELF}")
    if isinstance(raw, dict) and "doc_id" in raw:
        raise SubmissionError(
            "a shortcut of Google Drive and not the notebook: open it in Colab, choose File → Download → "
            "Download .ipynb and hand that in"
        )
    if not isinstance(raw, dict) or type(raw.get("nbformat")) is not int:
        raise SubmissionError(f"JSON, but no notebook: it does not say its `nbformat`: {ITSELF}")
    return raw


def _upgraded(raw: dict[str, Any]) -> Any:
    import nbformat  # here, not above: check() needs this module and not nbformat, which takes a second

    version, cells = raw["nbformat"], raw.get("cells")
    if isinstance(cells, list):
        _not_too_many(cells)  # before each is looked at
    if version > nbformat.current_nbformat:
        raise SubmissionError(
            f"the notebook says that its format is {version:.6g}, newer than any that is known: {SAVE}"
        )
    if version < 1:
        raise SubmissionError(f"the notebook says that its format is {version:.6g}, which never was: {SAVE}")
    try:
        with warnings.catch_warnings():
            # Missing and duplicate cell ids are put right later; their warnings would be noise.
            warnings.simplefilter("ignore")
            notebook = nbformat.convert(nbformat.from_dict(raw), nbformat.current_nbformat)
        cells = notebook.cells
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise TypeError("cells are a list of objects")
    except RecursionError:
        raise SubmissionError(f"not a notebook: nested too deep: {COPY}") from None
    except Exception:  # noqa: BLE001  nbformat's upgraders raise anything on a malformed notebook
        raise SubmissionError(
            f"not a notebook: its cells are not as format {version} has them: {COPY}"
        ) from None
    _not_too_many(cells)
    return notebook


def _not_too_many(cells: list[Any]) -> None:
    if len(cells) > MAX_CELLS:
        raise SubmissionError(
            f"the notebook has {len(cells):,} cells, more than {MAX_CELLS:,}: delete the empty ones and hand in again"
        )
