"""The served model: its folder, its fingerprint, its tokenizer and prompt text."""
