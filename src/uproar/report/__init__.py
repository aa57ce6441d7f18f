"""The page: tables and figures from plain content; imports no torch."""
