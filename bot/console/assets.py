"""The console's own files: vendored scripts and styles, compressed once, checked against their hashes when read."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

from flask import Response, abort

from bot.console.desk import Visit

FOLDER = Path(__file__).parent / "static"
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# From registry.npmjs.org: htmx.org 2.0.11 (0BSD), @picocss/pico 2.1.1 (MIT), uplot 1.6.32 (MIT). A changed file is not served.
VENDORED = {
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "pico.min.css": "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
}


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Name -> (gzip bytes, content type, short hash)."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix not in KINDS:
            continue
        raw = path.read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        if VENDORED.get(path.name, digest) != digest:
            raise RuntimeError(f"{path.name} is not the file that was vendored; restore it.")
        found[path.name] = (gzip.compress(raw, 9), KINDS[path.suffix], digest[:12])
    return found


def address(name: str) -> str:
    """Where a page finds *name*; changes with its content, so browsers may keep it for ever."""
    return f"/static/{name}?{_files()[name][2]}"


def file(visit: Visit, name: str) -> Response:
    """One file."""
    found = _files().get(name)
    if found is None:
        abort(404)
    packed, kind, _ = found
    takes_gzip = "gzip" in visit.request.headers.get("Accept-Encoding", "")
    response = Response(packed if takes_gzip else gzip.decompress(packed), content_type=f"{kind}; charset=utf-8")
    if takes_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def alive(visit: Visit) -> Response:
    """The process answers."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")
