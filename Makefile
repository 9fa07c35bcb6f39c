# Two commands do everything on a fresh machine with Python 3.11+ and make:
#   make train   train the small Inception net on the bundled digits
#   make test    lint, types, all tests and examples
# Other Python: make train PYTHON=python3.12    Other run: make train ARGS="--model lenet5"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Ruff reads no setup.cfg, so its settings stand here; E741: O is what the field calls the output
# channels, B905: zip of unequal lengths is meant
RUFF_STYLE := --line-length 100 --target-version py311
RUFF_RULES := --select E,F,W,I,B,UP --ignore E741,B905,E731

.PHONY: train test bench peers clean

train: $(VENV)/.train
	$(BIN)/python -m tinyconv train $(ARGS)

test: $(VENV)/.test
	$(BIN)/ruff check $(RUFF_STYLE) $(RUFF_RULES) .
	$(BIN)/ruff format --check $(RUFF_STYLE) .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.train
	$(BIN)/python -m benchmarks $(ARGS)

# PyTorch beside it, for the comparisons in tests/peers and benchmarks
peers: $(VENV)/.test
	$(BIN)/python -m pip install --quiet -e '.[test,peers]'

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tinyconv needs Python 3.11 or newer; give one: make train PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }

# one stamp per set of extras; setup.cfg changes install anew
$(VENV)/.train $(VENV)/.test: $(VENV)/.%: setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "installing tinyconv[$*] into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
