"""Outputs of cells, in nbformat's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

from autograde.errors import text, texts


def clean(outputs: Any) -> tuple[dict[str, Any], ...]:
    """Outputs from the room, of nbformat's four kinds and nothing else: every field may be forged."""
    return tuple(_known(outputs if isinstance(outputs, list) else []))


def _known(outputs: list[Any]) -> Iterator[dict[str, Any]]:
    for item in outputs[:500]:
        if not isinstance(item, dict):
            continue
        kind = text(item.get("output_type"))
        if kind == "stream":
            name = "stderr" if text(item.get("name")) == "stderr" else "stdout"
            yield {"output_type": "stream", "name": name, "text": text(item.get("text"))}
        elif kind == "error":
            yield {
                "output_type": "error",
                "ename": text(item.get("ename")),
                "evalue": text(item.get("evalue")),
                "traceback": texts(item.get("traceback")),
            }
        elif kind in ("display_data", "execute_result"):
            data = item.get("data")
            shown = (
                {str(k): v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}
            )
            output: dict[str, Any] = {"output_type": kind, "data": shown, "metadata": {}}
            if kind == "execute_result":
                count = item.get("execution_count")
                output["execution_count"] = count if type(count) is int else None
            yield output


def joined(data: bytes) -> list[dict[str, Any]]:
    """Outputs written down one JSON line each, pieces of one stream joined: every line may be forged."""
    found: list[dict[str, Any]] = []
    for name, pieces in groupby(_parsed(data), key=_stream):
        if name is None:
            found.extend(pieces)
        else:
            told = "".join(piece["text"] for piece in pieces)
            found.append({"output_type": "stream", "name": name, "text": told})
    return found


def _parsed(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        with suppress(ValueError, RecursionError):  # the last one may be half written
            item = json.loads(line)
            if isinstance(item, dict):
                yield item


def _stream(item: dict[str, Any]) -> str | None:
    if item.get("output_type") != "stream" or not isinstance(item.get("text"), str):
        return None
    return "stderr" if item.get("name") == "stderr" else "stdout"


def printed(text: str) -> dict[str, Any]:
    """A line on standard output."""
    return {"output_type": "stream", "name": "stdout", "text": text + "\n"}


def stopped(cause: str) -> dict[str, Any]:
    """The error that stands for a stop."""
    return {
        "output_type": "error",
        "ename": "Stopped",
        "evalue": cause,
        "traceback": [f"Stopped: this cell {cause}"],
    }
