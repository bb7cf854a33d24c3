"""The published JSON Schema of the flow language, generated from the model. A test keeps flows/schema.json equal."""

from __future__ import annotations

import json

from bot.flow.model import Flow


def schema_text() -> str:
    """flows/schema.json as text (JSON Schema 2020-12)."""
    schema = Flow.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
