"""What is no test here imports PyTorch or onnx: the tests that use it skip without them."""

collect_ignore_glob = ["[!t]*.py"]
