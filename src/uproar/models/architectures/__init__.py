"""Modules that uproar makes itself, and those of Hugging Face."""
