"""Binary linear classifiers, one a member, as the result of a solver."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfphen.core.errors import UsageError


class LinearClassifiers:
    """Binary classifiers by the sign of `⟨w, x⟩ + b`, one a member.

    Args:
        weights: w, `[members, d]`.
        intercepts: b, `[members]`.
        execution: The method by which they were fitted.
        diagnostics: Per-member solver diagnostics, `[members, ...]` by name.
    """

    def __init__(
        self,
        weights: np.ndarray,
        intercepts: np.ndarray,
        execution: str,
        diagnostics: Mapping[str, np.ndarray],
    ):
        self._weights, self._intercepts = np.asarray(weights), np.asarray(intercepts)
        self.execution, self.diagnostics = execution, diagnostics
        self.num_parameters = self._weights.shape[1] + 1

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Returns logits that differ by the score, `[members, n, 2]`, float32.

        Raises:
            UsageError: Outputs of layers are requested.
        """
        if layers:
            raise UsageError(f"A linear classifier has no layers. Received: {list(layers)}")
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (len(self._weights), len(inputs)))
        pairs = zip(rows, self._weights, self._intercepts, strict=True)
        scores = np.stack([inputs[mine] @ w + b for mine, w, b in pairs])
        return np.stack([-0.5 * scores, 0.5 * scores], -1).astype("float32")
