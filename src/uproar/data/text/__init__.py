"""Texts: from files and Hugging Face data to tokens."""
