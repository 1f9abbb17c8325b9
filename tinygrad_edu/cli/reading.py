"""`tge predict`: bring a file into the form of the training data, and ask the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data
from tinygrad_edu import train as training

from .experiment import TABLES, HParams, Refused, build_model, read_config

SHADES = " .:-=+*#%@"
MAX_PIXELS = 50_000_000  # a larger picture is a mistake, or an attack by decompression


def predict(run: Path, file: Path) -> None:
    """Print what the model of `run` says about `file`."""
    if not run.is_dir():
        raise Refused(f"{run}: there is no such run folder; tge train makes one")
    params = read_config(run)
    if params.data not in TABLES or params.task != "predict":
        use = f"tge generate {run}" if params.data == "names" else "see restored.png in the run folder"
        raise Refused(f"{run}: this model does not predict a label; {use}")
    if not file.is_file():
        raise Refused(f"{file}: there is no such file")
    picture = file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    if picture and params.data != "digits":
        raise Refused(f"{file}: a picture, but {run} is a model of {params.data}; give a CSV file")
    model, preprocess = load(run, params)
    if params.data == "digits":
        rows = picture_to_row(file)[None] if picture else read_rows(file, 64)
        if picture:
            click.echo(as_text(rows[0]) + "\n")
        scores = run_model(model, (rows / 16).astype(np.float32))
        tell_digits(scores)
    else:
        rows = read_rows(file, len(preprocess["columns"]))
        x, y = data.Standardize(), data.Standardize()
        x.load_state_dict(preprocess["x"])
        y.load_state_dict(preprocess["y"])
        for number, value in enumerate(y.inverse_transform(run_model(model, x(rows).astype(np.float32))), start=1):
            click.echo(f"row {number}: {value.item():.1f}")


def load(run: Path, params: HParams) -> tuple[Any, dict[str, Any]]:
    """The trained model of a run (the last checkpoint, if the run has not been finished) and its scaling."""
    try:
        preprocess = json.loads((run / "preprocess.json").read_text(encoding="utf-8"))
        inputs, outputs = (64, 10) if params.data == "digits" else (len(preprocess["columns"]), 1)
        tg.manual_seed(params.seed)
        model = build_model(inputs, params.hidden, outputs)
        final, last = run / "ckpt" / "final.safetensors", run / "ckpt" / "last.safetensors"
        training.load_model(final if final.exists() else last, model)
    except training.CheckpointError as error:
        raise Refused(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{run / 'preprocess.json'}: missing or damaged: {error}") from None
    return model, preprocess


def run_model(model: Any, rows: np.ndarray) -> np.ndarray:
    """The model's outputs."""
    model.eval()
    with tg.no_grad():
        return np.asarray(model(tg.tensor(rows)).numpy())


def tell_digits(scores: np.ndarray) -> None:
    """One line per row: the digit, and the probability of each."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    for number, p in enumerate(shifted / shifted.sum(axis=1, keepdims=True), start=1):
        prefix = f"row {number}: " if len(scores) > 1 else ""
        click.echo(f"{prefix}digit {p.argmax()}   probability {p.max():.3f}")
        click.echo("  " + "  ".join(f"{digit}: {value:.3f}" for digit, value in enumerate(p)))


def read_rows(file: Path, width: int) -> np.ndarray:
    """A CSV file as float64 rows of `width` values; a heading is skipped; eight rows of eight are one picture."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise Refused(f"{file}: neither a PNG picture nor a text file") from None
    cells = [line.replace(";", ",").split(",") if "," in line or ";" in line else line.split() for line in lines]
    rows: list[list[float]] = []
    for number, texts in enumerate(cells, start=1):
        try:
            rows.append([float(text) for text in texts])
        except ValueError:
            if number > 1:
                raise Refused(f"{file}, line {number}: not a row of numbers") from None
    if width == 64 and len(rows) == 8 and all(len(row) == 8 for row in rows):
        rows = [[value for row in rows for value in row]]
    if not rows:
        raise Refused(f"{file}: neither a picture (PNG) nor rows of numbers (CSV)")
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise Refused(f"{file}: row {number} has {len(row)} values; {width} are wanted")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise Refused(f"{file}: row {1 + int(np.argwhere(~np.isfinite(table))[0, 0])} has a value that is not finite")
    if width == 64 and (table.min() < 0 or table.max() > 16):
        raise Refused(f"{file}: pixels go from 0 (paper) to 16 (ink); found {table.min():g} to {table.max():g}")
    return table


def picture_to_row(file: Path) -> np.ndarray:
    """A picture of one digit as 64 values from 0 to 16, made as the training data were made.

    Ink is what differs from the paper (the border). The ink's bounding box is scaled to the height of a 32 × 32 frame
    and centred; each of the 64 values is the ink in a block of 4 × 4. A picture of 8 × 8 is taken as it is.
    """
    grey = read_picture(file)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    light = float(np.median(border)) > 127 if grey.shape != (8, 8) else float(np.median(grey)) > 127
    ink = (255.0 - grey if light else grey) / 255.0
    if grey.shape == (8, 8):
        return np.round(ink * 16).reshape(64)
    ink = np.clip(ink - np.median(255.0 - border if light else border) / 255.0, 0, None)
    if ink.max() < 0.1:
        raise Refused(f"{file}: no digit in it: the picture is (nearly) of one shade")
    ink = ink / ink.max()
    rows, columns = np.flatnonzero((ink > 0.25).any(axis=1)), np.flatnonzero((ink > 0.25).any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 32 / max(box.shape)
    height, width = (max(1, round(n * scale)) for n in box.shape)
    frame = np.zeros((32, 32))
    top, left = (32 - height) // 2, (32 - width) // 2
    frame[top : top + height, left : left + width] = resize(box, height, width)
    return frame.reshape(8, 4, 8, 4).mean(axis=(1, 3)).reshape(64) * 16


def read_picture(file: Path) -> np.ndarray:
    """A picture as float64 grey levels, 0 black to 255 white; what is transparent is white paper."""
    try:
        from PIL import Image
    except ImportError:
        raise Refused("pictures need Pillow: pip install pillow (or give a CSV file)") from None
    try:
        with Image.open(file, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Refused(f"{file}: {image.width} × {image.height} pixels; scale the picture down first")
            if image.mode.startswith("I"):  # 16 bits a pixel
                return np.asarray(image, dtype=np.float64) / 257.0
            coloured = image.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return np.asarray(Image.alpha_composite(paper, coloured).convert("L"), dtype=np.float64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Refused(f"{file}: not a readable PNG picture: {error}") from None


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area-averaged resizing, up or down."""
    from PIL import Image

    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((width, height), Image.Resampling.BOX))


def as_text(row: np.ndarray) -> str:
    """64 pixels as eight lines of characters, two per pixel."""
    levels = np.minimum((row.reshape(8, 8) / 16 * len(SHADES)).astype(int), len(SHADES) - 1)
    return "\n".join("  " + "".join(SHADES[level] * 2 for level in line) for line in levels)
