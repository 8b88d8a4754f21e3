"""Stand in for photochrom.study.worker: a run takes some steps, each kept, and can be told by its seed to fail.

It imports nothing of the package, which takes seconds: the files that it writes are made from those in FAKE_FILES.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

STEPS, STEP_SECONDS = 4, 0.05


def end() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    threading.Thread(target=end, daemon=True).start()
    job = json.loads(sys.argv[1])
    study, made = Path(job["study"]), Path(os.environ["FAKE_FILES"])
    if not job["run"]:
        shutil.copy(made / "baselines.json", study)
        return
    folder = study / "runs" / job["run"]
    folder.mkdir(parents=True, exist_ok=True)
    steps = folder / "steps"
    while (done := len(steps.read_text()) if steps.exists() else 0) < STEPS:
        time.sleep(STEP_SECONDS)
        if job["run"].endswith("s3"):
            sys.exit(f"the loss is nan; the last good checkpoint is '{folder}/newest.pt'")
        if job["run"].endswith("s4"):
            os.kill(os.getpid(), 9)
        steps.write_text("x" * (done + 1))
    scores = json.loads((made / "scores.json").read_text())
    for row in scores["rows"]:
        row["frechet"] = len(job["run"]) + int(job["run"][-1])
    part = folder / "scores.part"
    part.write_text(json.dumps(scores))
    part.replace(folder / "scores.json")


if __name__ == "__main__":
    main()
