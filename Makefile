# What a person types here. Every target sets up what it needs; only Python 3.11, pip and make have to be there.
# constraints.txt is resolved for 3.11; another version may do, but is not what these targets are tested with.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
OLD    := .venv-tflite
PEER   := .venv-mediapipe
PHONE  := devices/edge_sdk_devices/phone

.PHONY: demo test test-mediapipe test-pi check bench lock clean phone

demo: $(READY)  ## handwritten digits → trained, compressed, proven bundle, and a report to look at
	$(BIN)/edge-sdk demo

test: $(READY) $(OLD)/.ready  ## every test, on up to four processors at once
	$(BIN)/python -m pytest -m 'not emulation and not mediapipe' --numprocesses=logical --maxprocesses=4 --dist=worksteal

test-mediapipe: $(READY) $(PEER)/.ready  ## exported classifiers in MediaPipe Tasks, as they are
	$(BIN)/python -m pytest -m mediapipe tests/converters/test_metadata_mediapipe.py

test-pi: $(READY)  ## an emulated Raspberry Pi, from nothing to a bundle that is verified, measured and taught there
	$(BIN)/python -m pytest -m emulation tests/pi

check: $(READY)  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## every benchmark in full; results/ keeps what they print
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python -m benchmarks

phone: $(PHONE)/app/index.html  ## the page that phones run, into the package (needs Node.js 20.19 or newer)

$(PHONE)/app/index.html: $(shell find devices/phone -name node_modules -prune -o -type f -print)
	cd devices/phone && npm ci --no-progress && npm run build
	touch $@

# One environment holds both distributions, editable, at the versions of constraints.txt.
$(READY): pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ./runtime -e '.[dev]'
	touch $@

# The interpreter of 32-bit and older boards, with the NumPy and OpenCV that it takes, beside this checkout's runtime.
$(OLD)/.ready: runtime/pyproject.toml constraints-tflite-runtime.txt
	$(PYTHON) -m venv $(OLD)
	$(OLD)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-tflite-runtime.txt
	$(OLD)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e ./runtime
	touch $@

# The last release of MediaPipe that sends no telemetry, to see what other tools make of an exported file.
$(PEER)/.ready: constraints-mediapipe.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-mediapipe.txt
	touch $@

lock:  ## resolve the newest versions again and write them to constraints.txt
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --upgrade -e ./runtime -e '.[dev,benchmarks]'
	$(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude edge-sdk --exclude edge-sdk-runtime > constraints.txt
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock $(OLD) $(PEER) .emulated $(PHONE)/app devices/phone/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
