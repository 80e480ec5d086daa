"""``fluxatlas init``: a first configuration from the files it is shown and a few questions (docs/your_data.md)."""
