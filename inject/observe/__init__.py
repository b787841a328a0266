"""What runs show: the clean run and its census, what a run under faults does with its descriptors and files."""
