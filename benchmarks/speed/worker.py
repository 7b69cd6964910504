"""One framework in a process of its own, which does what it is told over a pipe.

A line of JSON comes in on standard input, one goes out for it:
`{"prepare": [runner, model]}` -> `{"seconds": s}`; `{"round": [runner, model, steps]}` ->
`{"seconds": s}`; `{"flops": model}` and `{"peak": true}` -> `{"value": x}`. A framework that is not
installed answers `{"missing": why}`.
"""

import importlib
import json
import os
import sys
import time

# Standard output belongs to the frameworks, which like to talk; answers go out by a copy of it.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

MODULES = {
    "ours": "runners",
    "alone": "runners",
    "fit": "runners",
    "torch": "peers_torch",
    "jax": "peers_jax",
}


def answer(request: dict, rounds: dict) -> dict:
    """Does what one request asks."""
    start = time.perf_counter()
    if "round" in request:
        runner, name, steps = request["round"]
        rounds[runner, name](steps)
    elif "prepare" in request:
        runner, name = request["prepare"]
        try:
            module = importlib.import_module(MODULES[runner])
        except ImportError as error:
            return {"missing": str(error)}
        rounds[runner, name] = module.prepare(runner, name)
    elif "flops" in request:
        import cases

        return {"value": cases.step_flops(cases.keras_model(request["flops"]))}
    else:
        import runners

        return {"value": runners.peak()}
    return {"seconds": time.perf_counter() - start}


def main() -> None:
    rounds: dict = {}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), rounds)), file=ANSWERS)


if __name__ == "__main__":
    main()
