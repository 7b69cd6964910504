"""The file format of records: JSON with typed arrays and a checksum, written atomically.

Use `tfphen.experiment.records`; this module handles bytes and files, not trials.
"""

import base64
import contextlib
import hashlib
import json
import math
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfphen.core.errors import CorruptRecord, TfphenError, UsageError

# Uncompressed arrays of one record. Also bounds the memory that reading a damaged file can take.
MAX_BYTES = 2**30

DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
# JSON has no NaN or infinity: such a float is written as {"$float": "nan"}, to distinguish it from
# the string "nan". Keys that start with "$" are reserved for this.
_TYPED = "$float"
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def plain(value: Any, where: str) -> Any:
    """Returns `value` as JSON data: scalars, lists, and mappings with string keys.

    Args:
        value: The data.
        where: Its name, for the message.

    Raises:
        UsageError: Something in it is neither.
    """
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise UsageError(
                    f"A key in `{where}` is a string that does not start with '$'. "
                    f"Received: {key!r}"
                )
        return {key: plain(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, where) for item in value]
    raise UsageError(
        f"`{where}` holds plain data only: numbers, strings, booleans, None, and lists and "
        f"mappings of them. Received: {value!r} of type {type(value).__name__}"
    )


def encode(value: Any) -> Any:
    """Returns plain data with every NaN and infinity in a form that strict JSON allows."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_TYPED: repr(value)}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return [encode(item) for item in value] if isinstance(value, list) else value


def decode(value: Any) -> Any:
    """The inverse of `encode`. Raises `KeyError` for anything that `encode` does not return."""
    if isinstance(value, dict):
        if _TYPED in value:
            (name,) = value.values()
            return _NON_FINITE[name]
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


def checked_array(name: str, array: Any) -> np.ndarray:
    """Returns `array` in native byte order. Raises `UsageError` if a record cannot hold it."""
    array = np.asarray(array)
    if not isinstance(name, str) or array.dtype.name not in DTYPES:
        raise UsageError(
            f"An array is named by a string and has one of the dtypes {', '.join(DTYPES)}. "
            f"Received: {name!r} with dtype {array.dtype}. Cast it first."
        )
    return array.astype(DTYPES[array.dtype.name], copy=False)


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Returns dtype, shape and data (base64 of the zlib-compressed little-endian bytes)."""
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(zlib.compress(little_endian.tobytes())).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def decode_arrays(documents: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inverse of `encode_array` for the arrays of one record; they are read-only.

    Raises:
        ValueError, TypeError, AttributeError, zlib.error: They are not encoded arrays, or hold more
            than `MAX_BYTES` in all.
    """
    arrays = {}
    left = MAX_BYTES
    for name, document in documents.items():
        if document.keys() != {"dtype", "shape", "data"} or document["dtype"] not in DTYPES:
            raise ValueError(f"array {name!r} is not stored as a known dtype, a shape and data")
        shape = document["shape"]
        if len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"array {name!r} has shape {shape!r}")
        dtype = DTYPES[document["dtype"]]
        size = math.prod(shape) * dtype.itemsize
        left -= size
        if left < 0:
            raise ValueError(f"its arrays hold more than {MAX_BYTES} bytes")
        stream = zlib.decompressobj()
        # Detect a longer stream without unpacking it. One byte more, since 0 means no limit.
        data = stream.decompress(base64.b64decode(document["data"], validate=True), size + 1)
        if len(data) != size or not stream.eof or stream.unused_data:
            raise ValueError(f"the data of array {name!r} do not fill its shape {shape}")
        array = np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)
        arrays[name] = array.astype(dtype, copy=False)
        arrays[name].flags.writeable = False
    return arrays


def canonical(document: Any) -> bytes:
    """Returns the canonical compact JSON text of a document, with sorted keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Returns the text of a file: readable JSON that ends with a checksum of the rest."""
    document = {**document, "checksum": hashlib.sha256(canonical(document)).hexdigest()}
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode("ascii")


def from_bytes(data: bytes, path: Path, file_format: str) -> dict[str, Any]:
    """Returns the document that `to_bytes` made into `data`, without its checksum.

    Raises:
        CorruptRecord: `data` is anything else. The message names `path`, the source of the bytes.
    """
    try:
        document = json.loads(data.decode("ascii"))
        if not isinstance(document, dict):
            raise ValueError(f"it holds a {type(document).__name__}")
        document.pop("checksum", None)
        again = to_bytes(document)
    except (ValueError, RecursionError) as error:
        raise corrupt(path, f"it is not a whole JSON object ({error})") from error
    if (found := document.get("format")) != file_format:
        raise corrupt(
            path, f"its format is {str(found)[:80]!r}, this version reads {file_format!r}"
        )
    # Comparing the text covers the checksum, and detects changes that JSON parsing hides.
    if again != data:
        raise corrupt(path, "its contents do not match its checksum")
    return document


def corrupt(path: Path, what: str) -> CorruptRecord:
    """Returns the error for a file whose contents have changed."""
    return CorruptRecord(
        f"The record {path} is damaged: {what}. "
        "Delete the file and run again, or restore it from a copy."
    )


def read_bytes(path: Path) -> bytes:
    """Returns the bytes of a file. Raises `TfphenError` if it does not exist or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise TfphenError(f"There is no record {path}. Run the trial first.") from error
    except OSError as error:
        raise TfphenError(f"The record {path} cannot be read: {error.strerror}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file completely, or leaves it as it was.

    Raises:
        TfphenError: If it cannot be written, for instance because the folder is a file.
    """
    # Random rather than the process id, which machines that share the folder may have in common.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise TfphenError(
            f"The record {path} cannot be written: {error.strerror}. "
            "Give a folder that can be written to and has space left."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Removes a file if it still exists. Raises `TfphenError` if that is not allowed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TfphenError(f"The file {path} cannot be removed: {error.strerror}.") from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Some systems cannot sync a folder. A rename is atomic there too; it may only be lost with
    # the machine, and then the trial runs again.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
