"""Count requests and measure their duration, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import final

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, in seconds."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""Any other method is counted as OTHER, so that no client adds series."""


@final
class Metrics:
    """Count what the server does; every method runs on the event loop."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """Add a figure that is read when it is asked for."""
        self._gauges[name] = help_text, value

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by the template of its route."""
        self._requests[method if method in METHODS else "OTHER", route, status] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(BOUNDS) + 1))
        buckets[sum(seconds > bound for bound in BOUNDS)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self) -> str:
        """Write all figures in the text format."""
        lines = ["# HELP photochrom_requests_total Requests answered.", "# TYPE photochrom_requests_total counter"]
        for (method, route, status), count in sorted(self._requests.items()):
            lines.append(f'photochrom_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}')
        name = "photochrom_request_seconds"
        lines += [f"# HELP {name} Time from the first byte of a request to the end of its answer.", f"# TYPE {name} histogram"]
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip([*(f"{bound:g}" for bound in BOUNDS), "+Inf"], buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {total}')
            lines += [f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}', f'{name}_count{{route="{route}"}} {total}']
        for gauge, (help_text, value) in self._gauges.items():
            lines += [f"# HELP {gauge} {help_text}", f"# TYPE {gauge} gauge", f"{gauge} {value():g}"]
        return "\n".join(lines) + "\n"
