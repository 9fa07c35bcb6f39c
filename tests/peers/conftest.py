"""The scripts here import PyTorch: the tests that use them skip without it."""

collect_ignore = ["opinfo.py", "samples.py"]
