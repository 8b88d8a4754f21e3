"""Print where a forward pass of the bundled network spends its time: ``python -m bench nodes``, or a model file after that."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

import photochrom
from photochrom.color import BINS
from photochrom.colorizer.model import BUNDLED

HEIGHT, WIDTH = 128, 160
PASSES, SHOWN = 12, 12


def main() -> None:
    """Run the network on one thread, noted down node by node; the least of all passes counts."""
    given = [name for name in sys.argv[1:] if name.endswith(".onnx")]
    path = given[0] if given else str(Path(photochrom.__file__).parent / "colorizer" / "weights" / BUNDLED)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.log_severity_level = 3
    feeds = {
        "luma": np.random.default_rng(0).random((1, 1, HEIGHT, WIDTH), np.float32),
        "temperature": np.array(0.6, np.float32),
        "hints": np.zeros((1, 3, HEIGHT, WIDTH), np.float32),
        "palette": np.zeros((1, BINS), np.float32),
    }
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, "nodes"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        known = {item.name: feeds[item.name] for item in session.get_inputs()}
        for _ in range(PASSES):
            session.run(["chroma"], known)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            details = event["args"]
            shape = next(iter(details["output_type_shape"][0].values())) if details.get("output_type_shape") else ""
            times[details["op_name"], event["name"].removesuffix("_kernel_time"), str(shape)].append(event["dur"])
    least = sorted(((min(found), key) for key, found in times.items()), reverse=True)
    print(f"{path}, {HEIGHT} x {WIDTH}, one thread: {sum(time for time, _ in least) / 1e3:.2f} ms in {len(least)} nodes\n")
    print("|   ms | operator | answers |\n|-----:|----------|---------|")
    for time, (operator, _, shape) in least[:SHOWN]:
        print(f"| {time / 1e3:4.2f} | {operator} | {shape} |")


if __name__ == "__main__":
    main()
