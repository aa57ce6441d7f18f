"""The sections of the page: a module each, beside the template of the same name."""
