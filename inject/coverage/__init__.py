"""Recovery coverage of programs that count their own lines."""
