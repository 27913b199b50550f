from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import FileFormatError, FileMissing, InvalidInput, InvalidType
from bptt.files.model import DIGEST, ENTRY, LARGEST_HEADER, read_arrays, read_header, write_model
from tests.files.sealing import digest, joined, parts_of

DESCRIPTION: dict[str, Any] = {"kind": "any", "numbers": [1, 2.5, None, True], "inside": {"ä": "ö"}}


@pytest.fixture
def arrays(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "layers.0.W_xh": rng.standard_normal((3, 8)),
        "layers.0.b_h": rng.standard_normal(8),
        "readout.W_hy": rng.standard_normal((4, 2)).astype(np.float32),
        "none": np.zeros((0, 5)),
    }


def rewrite(path: Path, *, header: Any = None, data: bytes | None = None) -> Path:
    """Write the file anew with another header (JSON, or text as it is) or other data."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    if header is None:
        text = raw[8 : 8 + length]
    else:
        text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + (raw[8 + length :] if data is None else data))
    return path


def header_of(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    found: dict[str, Any] = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    return found


@pytest.fixture
def model(arrays: dict[str, Any], tmp_path: Path) -> Path:
    return write_model(tmp_path / "m.bptt", arrays, DESCRIPTION)


def refused(path: Path | str, error: type[Exception] = FileFormatError) -> str:
    with pytest.raises(error) as caught:
        read_arrays(path, read_header(path))
    text = str(caught.value)
    assert "\n" not in text
    assert type(caught.value) is error
    return text


def test_round_trip(arrays: dict[str, Any], model: Path) -> None:
    header = read_header(model)
    assert header.description == DESCRIPTION
    assert header.arrays == {name: (array.dtype, array.shape) for name, array in arrays.items()}
    found = read_arrays(str(model), header)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_arrays_of_any_layout(rng: np.random.Generator, tmp_path: Path) -> None:
    whole = rng.standard_normal((6, 8))
    strided, turned = whole[::2, 1::3], whole.T
    strided.flags.writeable = False
    path = write_model(tmp_path / "m", {"strided": strided, "turned": turned}, {})
    found = read_arrays(path, read_header(path))
    np.testing.assert_array_equal(found["strided"], strided)
    np.testing.assert_array_equal(found["turned"], turned)


def test_the_safetensors_library_reads_it(arrays: dict[str, Any], model: Path) -> None:
    from safetensors import safe_open

    with safe_open(model, framework="np") as file:
        assert set(file.keys()) == set(arrays)
        found = json.loads(file.metadata()[ENTRY])
    assert len(found.pop(DIGEST)) == 64
    assert found == DESCRIPTION


def test_the_same_model_gives_the_same_bytes(arrays: dict[str, Any], tmp_path: Path) -> None:
    first = write_model(tmp_path / "1", arrays, DESCRIPTION)
    second = write_model(tmp_path / "2", arrays, dict(reversed(DESCRIPTION.items())))
    assert first.read_bytes() == second.read_bytes()


def test_a_write_that_fails_leaves_the_old_file(model: Path) -> None:
    before = model.read_bytes()
    with pytest.raises(InvalidType) as caught:
        write_model(model, {}, {"a": {1, 2}})
    assert str(caught.value) == (
        "description of a model must hold plain JSON values, finite numbers among them. "
        "Got: Object of type set is not JSON serializable"
    )
    with pytest.raises(
        InvalidType, match=r"plain JSON values, finite numbers among them\. Got: Out of range float"
    ):
        write_model(model, {}, {"a": float("nan")})
    with pytest.raises(InvalidInput) as large:
        write_model(model, {}, {"a": "x" * LARGEST_HEADER})
    assert str(large.value).startswith(
        f"description of a model must take at most {LARGEST_HEADER} bytes. Got {LARGEST_HEADER + 40}"[:-9]
    )
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


def test_where_there_is_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "m", FileMissing) == f"model file must exist. Got {tmp_path}/m"
    assert refused(tmp_path) == f"{tmp_path} must be an ordinary file. Got a folder"
    # Printable, as every message; what follows is Python's own text, which differs between versions.
    assert refused("a\0b").startswith(r"a\x00b must be readable. Got: ")
    assert refused(3, InvalidType) == "path must be text or a path. Got 3"  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidType, match=r"^path must be text or a path. Got None$"):
        write_model(None, {}, {})  # type: ignore[arg-type]  # what is tested


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refused(pipe) == f"{pipe} must be an ordinary file. Got a device or a pipe"


def test_a_file_that_may_not_be_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: str, flags: int) -> int:  # chmod does not stop root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbid)
    assert refused(model) == f"{model} must be readable. Got: Permission denied"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"a,b\n1,2\n3,4\n",
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}",
        bytes(100),
        b"PK\x03\x04" * 9,
    ],
)
def test_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(content)
    assert refused(path) == f"{path} must be a model that bptt.save wrote. Got no safetensors file"


def test_somebody_elses_safetensors_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "m"
    expected = f"{path} must be a model that bptt.save wrote. Got a safetensors file of something else"
    save_file({"a": np.zeros(3)}, path)
    assert refused(path) == expected
    save_file({"a": np.zeros(3)}, path, {"format": "pt"})
    assert refused(path) == expected


def test_every_truncation_is_seen(model: Path) -> None:
    raw = model.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    for size in range(len(raw)):
        model.write_bytes(raw[:size])
        text = refused(model)
        if size < 9:
            assert text.endswith("Got no safetensors file")
        elif size < 8 + length:
            assert (
                text == f"{model} must have a header of {length} bytes. Got {size - 8}: was the file cut off?"
            )
        else:
            data = len(raw) - 8 - length
            got = size - 8 - length
            assert text == f"{model} must hold {data} bytes of arrays. Got {got}: was the file cut off?"


def test_bytes_after_the_model(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"more")
    assert refused(model).endswith(": something follows the model")


def test_a_header_that_is_too_large(model: Path) -> None:
    model.write_bytes(struct.pack("<Q", LARGEST_HEADER + 1) + b"{" + bytes(50))
    assert refused(model) == (
        f"{model} must have a header of at most {LARGEST_HEADER} bytes. Got {LARGEST_HEADER + 1}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', ": each name in the header must stand once. Got 'a' twice"),
        ('{"__metadata__": {"bptt": "{}"}, "b": {"dtype": "F64", "dtype": "F32"}}', "Got 'dtype' twice"),
        ('{"a": NaN}', ": numbers in the header must be finite. Got NaN"),
        ('{"a": -Infinity}', ": numbers in the header must be finite. Got -Infinity"),
        ('{"a": ', " must have a header in JSON. Got something else: is it damaged?"),
        ('{"a": "\udcff"}', " must have a header in JSON. Got something else: is it damaged?"),
        ('{"a": ' + "[" * 19_000, " must have a header in JSON. Got something else: is it damaged?"),
        (
            '{"a": ' + "[" * 99_999,
            " must have a header of names and values. Got 100000 lists in 100005 characters",
        ),
        (
            '{"__metadata__": {"bptt": "\\ud800"}}',
            " must have a header in JSON. Got something else: is it damaged?",
        ),
        ('{"a": 1' + "0" * 5000 + "}", " must have a header in JSON. Got something else: is it damaged?"),
        ("{}", "Got a safetensors file of something else"),
        ('{"__metadata__": {"bptt": 3}}', "Got a safetensors file of something else"),
        ('{"__metadata__": ["bptt"]}', "Got a safetensors file of something else"),
        ('{"__metadata__": {"bptt": "[1]"}}', " must have a header of names and values. Got a list"),
        (
            '{"__metadata__": {"bptt": "{"}}',
            " must have a header in JSON. Got something else: is it damaged?",
        ),
        (
            '{"__metadata__": {"bptt": "{\\"a\\": 1, \\"a\\": 1}"}}',
            ": each name in the header must stand once. Got 'a' twice",
        ),
        (
            '{"__metadata__": {"bptt": "{}"}}',
            " must hold 0 bytes of arrays. Got 288: something follows the model",
        ),
    ],
)
def test_headers_that_are_no_header(model: Path, text: str, expected: str) -> None:
    raw = text.encode(errors="surrogateescape")
    model.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(288))
    assert refused(model).endswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dtype": "F16"}, "layers.0.b_h must be of dtype F32 or F64. Got 'F16'"),
        ({"dtype": None}, "layers.0.b_h must be of dtype F32 or F64. Got None"),
        ({"shape": [-8]}, "shape of layers.0.b_h must be whole numbers. Got [-8]"),
        ({"shape": [8.0]}, "shape of layers.0.b_h must be whole numbers. Got [8.0]"),
        ({"shape": [True]}, "shape of layers.0.b_h must be whole numbers. Got [True]"),
        ({"shape": 8}, "shape of layers.0.b_h must be whole numbers. Got 8"),
        ({"shape": [2**60]}, f"shape of layers.0.b_h must be whole numbers. Got [{2**60}]"),
        ({"data_offsets": [0]}, "data_offsets of layers.0.b_h must be whole numbers. Got [0]"),
        ({"data_offsets": None}, "data_offsets of layers.0.b_h must be whole numbers. Got None"),
        ({"shape": [9]}, "layers.0.b_h must take bytes 192 to 264. Got [192, 256]: the file is damaged"),
    ],
)
def test_array_entries_that_lie(model: Path, change: dict[str, Any], expected: str) -> None:
    header = header_of(model)
    header["layers.0.b_h"].update(change)
    assert refused(rewrite(model, header=header)) == f"{model}: {expected}"


@pytest.mark.parametrize("offsets", [[0, 64], [191, 255], [193, 257], [2**40, 2**40 + 64], [64, 0]])
def test_arrays_with_holes_or_overlaps(model: Path, offsets: list[int]) -> None:
    header = header_of(model)
    assert header["layers.0.b_h"]["data_offsets"] == [192, 256]
    header["layers.0.b_h"]["data_offsets"] = offsets
    # Which array is named depends on where this one has gone.
    assert refused(rewrite(model, header=header)).endswith(": the file is damaged")


def test_an_entry_that_is_no_entry(model: Path) -> None:
    header = header_of(model)
    header["layers.0.b_h"] = 3
    assert (
        refused(rewrite(model, header=header))
        == f"{model}: layers.0.b_h must be of dtype F32 or F64. Got None"
    )


@pytest.mark.parametrize(("value", "told"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_that_are_not_finite(arrays: dict[str, Any], tmp_path: Path, value: float, told: str) -> None:
    arrays["layers.0.W_xh"][1, 5] = value
    path = write_model(tmp_path / "m", arrays, {})
    assert refused(path) == f"{path}: every number of layers.0.W_xh must be finite. Got {told} at [1, 5]"


def test_a_file_that_changes_meanwhile(arrays: dict[str, Any], model: Path) -> None:
    header = read_header(model)
    write_model(model, arrays, {"kind": "other"})
    with pytest.raises(FileFormatError) as caught:
        read_arrays(model, header)
    assert str(caught.value) == f"{model} must not change while it is read. Got another header"
    model.unlink()
    with pytest.raises(FileFormatError, match=r"must be readable\. Got: No such file or directory$"):
        read_arrays(model, header)


def test_a_file_that_lost_its_end_meanwhile(model: Path) -> None:
    # The header is whole, as we remember it; the data are not.
    header = read_header(model)
    raw = model.read_bytes()
    model.write_bytes(raw[:-1])
    with pytest.raises(FileFormatError, match=r"must not change while it is read\. Got its end too early$"):
        read_arrays(model, header)


def test_a_flipped_byte_is_refused_or_harmless(rng: np.random.Generator, model: Path) -> None:
    raw = model.read_bytes()
    outcomes = {"read": 0, "refused": 0}
    for place in range(len(raw)):
        damaged = bytearray(raw)
        damaged[place] ^= int(rng.integers(1, 256))
        model.write_bytes(damaged)
        try:
            read_arrays(model, read_header(model))
            outcomes["read"] += 1
        except FileFormatError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 200


def test_every_flipped_bit_of_the_data_is_noticed(arrays: dict[str, Any], model: Path) -> None:
    raw = model.read_bytes()
    first = 8 + struct.unpack("<Q", raw[:8])[0]
    for place in range(first, len(raw), 7):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << place % 8
        model.write_bytes(damaged)
        told = refused(model)
        assert told.endswith("the file is damaged") or " must be finite. Got " in told


def test_the_digest_is_of_description_names_shapes_and_numbers(model: Path) -> None:
    raw = model.read_bytes()
    header, description, data = parts_of(raw)
    assert description["sha256"] == digest(header, description, data)
    wrong = f"{model} must have the sha256 that it states. Got another: the file is damaged"
    model.write_bytes(joined(header, {**description, "numbers": [1, 2.5, None, False]}, data, seal=False))
    assert refused(model) == wrong
    renamed = {name.replace("b_h", "b_n"): entry for name, entry in header.items()}
    model.write_bytes(joined(renamed, description, data, seal=False))
    assert refused(model) == wrong
    turned = {**header, "layers.0.W_xh": {**header["layers.0.W_xh"], "shape": [8, 3]}}
    model.write_bytes(joined(turned, description, data, seal=False))
    assert refused(model) == wrong
    model.write_bytes(joined(turned, description, data))
    assert read_arrays(model, read_header(model))["layers.0.W_xh"].shape == (8, 3)
    for odd in (3, "ab", "x" * 65, None, ["x" * 64]):
        model.write_bytes(joined(header, {**description, "sha256": odd}, data, seal=False))
        assert f": sha256 must be text of 64 digits. Got {odd!r:.40}" in refused(model)


def test_files_of_before_the_digest_are_read(arrays: dict[str, Any], model: Path) -> None:
    header, description, data = parts_of(model.read_bytes())
    del description["sha256"]
    model.write_bytes(joined(header, description, data, seal=False))
    for name, array in read_arrays(model, read_header(model)).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_some_arrays_may_hold_any_number_where_the_reader_says_so(tmp_path: Path) -> None:
    odd = np.array([np.inf, np.nan, -0.0])
    path = write_model(tmp_path / "m", {"slots.m": odd, "weights": np.ones(2)}, {})
    found = read_arrays(path, read_header(path), may_be_infinite=("slots.",))
    assert found["slots.m"].tobytes() == odd.tobytes()
    assert "slots.m must be finite. Got inf at [0]" in refused(path)
    path = write_model(tmp_path / "m", {"slots": odd}, {})
    with pytest.raises(FileFormatError, match="every number of slots must be finite"):
        read_arrays(path, read_header(path), may_be_infinite=("slots.",))


def test_a_reader_says_what_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"not a safetensors file")
    with pytest.raises(FileFormatError, match=r"must be a checkpoint of mine\. Got no safetensors file"):
        read_header(tmp_path / "m", "checkpoint of mine")
    with pytest.raises(FileMissing, match=r"^checkpoint file must exist\. Got"):
        read_header(tmp_path / "none", "checkpoint of mine")
