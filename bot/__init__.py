"""The bot: flows, engine, reading, wording, proof, storage and the doors to the outside. Never imports workers."""
