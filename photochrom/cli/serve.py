"""Serve the page and the HTTP API: the command ``serve``."""

from __future__ import annotations

import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Path | None = None,
    name: Annotated[list[str] | None, Parameter(negative="")] = None,
    max_pixels: int = 100_000_000,
    max_body: int = 256,
    max_queue: int = 64,
    open: Annotated[bool, Parameter(negative="")] = False,
    model: Path | None = None,
) -> int:
    """Serve a page for the browser and an HTTP API. Needs pip install 'photochrom[serve]'.

    Only this machine reaches it unless --host says otherwise. Photographs stay in memory; none is written to disk. Films need
    pip install 'photochrom[serve,video]', and lie in a temporary folder until they are removed.

    Parameters
    ----------
    host
        Address to listen on. Any address but 127.0.0.1 needs a token.
    port
        Port to listen on; 0 takes a free one.
    token
        A file with a secret of 16 or more characters, which every request must carry; the page asks for it once.
    name
        A host name by which browsers reach the server, such as photos.example.org. May be repeated. IP addresses and
        localhost need no name.
    max_pixels
        Refuse photographs with more pixels.
    max_body
        Refuse photographs whose file has more MiB.
    max_queue
        Requests that may wait for a processor; further ones get 503.
    open
        Open the page in the browser.
    model
        A model file of `photochrom export` or `photochrom adopt` instead of the one in the package.
    """
    from photochrom.serve import server
    from photochrom.serve.settings import Settings, read_token

    settings = Settings(
        host=host,
        port=port,
        token=None if token is None else read_token(token),
        names=tuple(name or ()),
        max_pixels=max_pixels,
        max_body=max_body << 20,
        max_queue=max_queue,
        model=model,
    )

    def announce(address: str) -> None:
        print(f"Photochrom listens on {address} (Ctrl+C ends it)", flush=True)
        if open:
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    server.run(settings, announce=announce)
    print("Photochrom has ended", file=sys.stderr)
    return 0
