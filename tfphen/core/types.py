"""Names for types of arrays, and the notation for their shapes.

Docstrings write a shape in brackets, its axes by name from the outermost to the innermost:
`[members, n, classes]`. The same name means the same size within a docstring.

- `members`: copies of a model that are trained together, always the first axis
- `n`: examples of a set; `batch`: those of one step
- `height`, `width`, `channels`: of images, channels last unless said otherwise
- `classes`, `units`, `features`, `dimensions`: of the last axis
- `...`: any number of further axes; `[]` is a scalar

Tensors have no common base class over the backends of Keras: their type is `Any`, under a name.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# An array on the host.
Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Integers: TypeAlias = npt.NDArray[np.integer[Any]]
# An argument of `numpy.asarray`: an array, or numbers in nested sequences.
ArrayLike: TypeAlias = npt.ArrayLike
# A list of numbers on the host.
Values: TypeAlias = Sequence[float] | Floats
# A tensor of the Keras backend, a Keras variable or a symbolic tensor.
Tensor: TypeAlias = Any
# An argument of `keras.ops.convert_to_tensor`: a tensor, an array, or numbers in nested sequences.
TensorLike: TypeAlias = Any
# A shape as in Keras: integers, or None for an unknown size, such as that of a batch.
Shape: TypeAlias = tuple[Any, ...]
