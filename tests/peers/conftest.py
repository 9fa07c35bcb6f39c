"""The scripts here import PyTorch or onnx: the tests that use them skip without them."""

collect_ignore = ["databases.py", "opinfo.py", "samples.py", "runs.py", "onnx_nodes.py"]
