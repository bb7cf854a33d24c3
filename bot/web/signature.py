"""Whether a request was signed by our Twilio account. Must never look at Host, X-Forwarded-* or ``request.url``.

The signed address is the configured public URL + quoted path + raw query string: ``request.url`` is a decoded IRI and
fails for ``?next=%2Fvoice`` (shared/reference/twilio.md A3). Scheme: HMAC-SHA1 over address + sorted name/value pairs,
https://www.twilio.com/docs/usage/webhooks/webhooks-security.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs, quote

from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

Fault = Literal["missing", "malformed", "mismatch", "json without bodySHA256"]

_SHAPE = re.compile(r"[A-Za-z0-9+/]{27}=")  # base64 of 20 bytes


class Signatures:
    """Checks signatures for one public address against every auth token in use (two while a token is being changed).

    A header that names another key or algorithm is ignored: the caller never chooses how it is verified.
    """

    def __init__(self, public_url: str, tokens: Sequence[str]) -> None:
        self._base = public_url.rstrip("/")
        self._keys = [token.encode() for token in tokens]
        self._validators: list[Any] = [RequestValidator(token) for token in tokens]  # type: ignore[no-untyped-call]

    def address(self, path: str, query: bytes) -> str:
        """What Twilio signed: *path* as WSGI gives it (decoded, latin-1), *query* raw."""
        address = self._base + quote(path.encode("latin-1", "replace"), safe="/-_.~!$&'()*+,;=:@")
        return f"{address}?{query.decode('latin-1')}" if query else address

    def fault_of_form(self, address: str, form: Mapping[str, Sequence[str]], signature: str | None) -> Fault | None:
        """Why a form POST is refused, or None. *form* holds every value of every parameter, unknown ones included."""
        if not signature:
            return "missing"
        if not _SHAPE.fullmatch(signature):
            return "malformed"
        # A name that is given more than once stands before each of its different values.
        signed = address + "".join(
            [
                name + (values[0] if len(values := form[name]) == 1 else name.join(sorted(set(values))))
                for name in sorted(form)
            ]
        )
        given = signature.encode()
        if any(hmac.compare_digest(_sha1(key, signed), given) for key in self._keys):
            return None
        # Twilio is inconsistent about ports in the address; only the library knows all variants.
        return None if self._library(address, MultiDict(form), signature) else "mismatch"

    def fault_of_json(self, address: str, body: bytes, signature: str | None) -> Fault | None:
        """Why a JSON POST is refused, or None. Without ``bodySHA256`` nothing vouches for the body."""
        if not signature:
            return "missing"
        if not _SHAPE.fullmatch(signature):
            return "malformed"
        stated = parse_qs(address.partition("?")[2]).get("bodySHA256")
        if not stated:
            return "json without bodySHA256"
        actual = hashlib.sha256(body).hexdigest()
        if not hmac.compare_digest(actual.encode(), stated[0].lower().encode()):
            return "mismatch"
        return None if self._library(address, {}, signature) else "mismatch"

    def _library(self, address: str, params: Any, signature: str) -> bool:
        try:
            return any(validator.validate(address, params, signature) for validator in self._validators)
        except (TypeError, ValueError):  # an address it cannot take apart was not signed by Twilio either
            return False


def _sha1(key: bytes, signed: str) -> bytes:
    return base64.b64encode(hmac.digest(key, signed.encode("utf-8", "replace"), "sha1"))
