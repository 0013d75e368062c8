"""Questions and answers of the Open Inference Protocol v2, as JSON; an answer is believed only as far as it fits.

References
----------
Open Inference Protocol v2 (KServe, Triton), REST: ``/v2/models/{model}/versions/{version}/infer``
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from osler.errors import ContractViolation, Malformed

DTYPES: Final[Mapping[str, Any]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
"""Data types of the protocol that we speak; BYTES is none of them, since it could be text."""

Specs = Mapping[str, tuple[str, tuple[int, ...]]]
"""By name of a tensor its data type and shape; -1 is the number of cases."""

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must say.

    Parameters
    ----------
    id : str
        Of the question.
    model, version : str
    outputs : Specs
    cases : int
        What -1 stands for.
    """

    id: str
    model: str
    version: str
    outputs: Specs
    cases: int


def cases_of(tensors: Tensors, specs: Specs) -> int:
    """Check tensors against their forms; return how many cases they are of.

    Raises
    ------
    ContractViolation
        If one is missing, is another than the card says, or holds what is no finite number.
    """
    if tensors.keys() != specs.keys():
        raise ContractViolation("the tensors are not those of the card's endpoint")
    counts = set()
    for name, (dtype, shape) in specs.items():
        tensor = tensors[name]
        if tensor.dtype != DTYPES.get(dtype) or tensor.ndim != len(shape):
            raise ContractViolation("a tensor has another data type or shape than the card says")
        counts |= {size for size, wanted in zip(tensor.shape, shape, strict=True) if wanted == -1}
        if any(wanted not in (-1, size) for size, wanted in zip(tensor.shape, shape, strict=True)):
            raise ContractViolation("a tensor has another data type or shape than the card says")
        if not np.isfinite(tensor).all():
            raise ContractViolation("a tensor holds what is no finite number")
    if len(counts) > 1 or 0 in counts:
        raise ContractViolation("the tensors are not of the same number of cases")
    return counts.pop() if counts else 1


def question(request_id: str, tensors: Tensors, specs: Specs, outputs: Specs) -> bytes:
    """Return the body of an inference request."""
    inputs = [
        {
            "name": name,
            "datatype": specs[name][0],
            "shape": list(tensor.shape),
            "data": tensor.ravel().tolist(),
        }
        for name, tensor in tensors.items()
    ]
    document = {"id": request_id, "inputs": inputs, "outputs": [{"name": name} for name in outputs]}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def read(content: bytes) -> Mapping[str, Any]:
    """Read the JSON of an answer.

    Raises
    ------
    Malformed
        If it is no JSON object: it was cut off, or comes from somebody else.
    ContractViolation
        If it holds NaN or an infinity.
    """
    try:
        document = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("the endpoint's answer is not JSON") from None
    if not isinstance(document, Mapping):
        raise Malformed("the endpoint's answer is not a JSON object")
    return document


def tensors_of(document: Mapping[str, Any], expected: Expected) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of an answer whose id is known to fit.

    Raises
    ------
    ContractViolation
        If it is of another model, or another output, data type or shape than was asked for, or not of numbers.
    """
    if (document.get("model_name"), document.get("model_version")) != (expected.model, expected.version):
        raise ContractViolation("the answer is of another model or version than was asked")
    outputs = document.get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(one, Mapping) for one in outputs):
        raise ContractViolation("the answer has no outputs")
    named = {str(one.get("name")): one for one in outputs}
    if named.keys() != expected.outputs.keys() or len(named) != len(outputs):
        raise ContractViolation("the answer has other outputs than were asked for")
    return {name: _tensor(named[name], *spec, cases=expected.cases) for name, spec in expected.outputs.items()}


def same_form(described: object, specs: Specs) -> bool:
    """Tell whether the metadata of a model describe tensors of these forms."""
    if not isinstance(described, list) or not all(isinstance(one, Mapping) for one in described):
        return False
    forms = {str(one.get("name")): (one.get("datatype"), one.get("shape")) for one in described}
    return len(forms) == len(described) and all(
        name in forms and forms[name] == (dtype, list(shape)) for name, (dtype, shape) in specs.items()
    )


def _tensor(output: Mapping[str, Any], dtype: str, shape: tuple[int, ...], *, cases: int) -> npt.NDArray[Any]:
    wanted = [cases if size == -1 else size for size in shape]
    if output.get("datatype") != dtype or output.get("shape") != wanted:
        raise ContractViolation("an output has another data type or shape than was asked for")
    data = output.get("data")
    flat = list(_numbers(data, depth=len(wanted))) if isinstance(data, list) else []
    if len(flat) != math.prod(wanted):
        raise ContractViolation("an output has not as many numbers as its shape says")
    kind = DTYPES[dtype]
    allowed = (bool,) if kind is np.bool_ else (int,) if np.issubdtype(kind, np.integer) else (int, float)
    if any(not isinstance(number, allowed) or (allowed != (bool,) and isinstance(number, bool)) for number in flat):
        raise ContractViolation("an output holds what is no number of its data type")
    try:
        with np.errstate(over="raise"):
            tensor = np.array(flat, dtype=kind).reshape(wanted)
    except (OverflowError, FloatingPointError, ValueError):
        raise ContractViolation("an output holds a number that its data type has not") from None
    if not np.isfinite(tensor).all():
        raise ContractViolation("an output holds what is no finite number")
    return tensor


def _numbers(data: list[Any], *, depth: int) -> list[Any]:
    """Return the numbers of a flat or a nested array, in row-major order."""
    for _ in range(depth):
        if not data or not all(isinstance(one, list) for one in data):
            break
        data = [number for one in data for number in one]
    return data


def _no_constant(_: str) -> None:
    raise ContractViolation("the endpoint's answer holds what is no finite number")
