"""Run a command and print what it took, as JSON: ``python bench/launch.py COMMAND [ARGUMENT...]``.

This is a program of its own because a child's peak of memory starts at that of the process which starts it: this one is small.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

begin = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
seconds = time.perf_counter() - begin
if done.returncode:
    sys.exit(f"{' '.join(sys.argv[1:])}: ended with exit code {done.returncode}\n{done.stderr}")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "peak": peak}))
