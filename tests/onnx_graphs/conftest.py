"""All here needs the onnx library and onnxruntime."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("onnxruntime") else ["*.py"]
