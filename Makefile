# minidl: `make demo` shows what it does, `make test` that it works. Both prepare everything they need in .venv first.

PYTHON ?= python3
ifeq ($(strip $(PYTHON)),)
PYTHON := python3
endif
BIN := .venv/bin

.PHONY: help demo lessons lessons-build site site-serve site-test test test-compiled test-plain test-full test-oldest lint clean

help:
	@echo "make demo       train the paper's network with and without batch norm, and draw Figure 1 (one to two minutes)"
	@echo '                  with flags (minidl mnist --help has them): make demo ARGS="--threads 1 --resume"'
	@echo "make lessons    copy the lessons into the folder work, and open them in JupyterLab (nothing there is overwritten)"
	@echo "make lessons-build  make the notebooks from their sources again; LESSONS=\"03 04\" for some"
	@echo "make test       run the tests, compiled and with the JIT off (some minutes); test-compiled and test-plain are its parts"
	@echo "make test-full  also run the tests that take long"
	@echo "make test-oldest  run the tests with the lowest versions of Python and packages that are allowed"
	@echo "make site       build the website from what is committed; site-serve shows it, site-test opens it in Chromium (needs node)"
	@echo "make lint       check style and types"
	@echo "make clean      remove what these commands made (not the data in your cache folder)"

demo: .venv/ready
	$(BIN)/python -m minidl mnist $(ARGS)

lessons: .venv/ready-lessons
	$(BIN)/python -m minidl lessons

# The notebooks as they are committed, with their outputs; LESSONS="03 04" for some of them.
lessons-build: .venv/ready-lessons
	$(BIN)/python -m minidl lessons --build $(LESSONS)

test: test-compiled
	@echo
	@echo "Again with the JIT off: every kernel as the Python code that one reads, and how much of it the tests reach."
	@$(MAKE) --no-print-directory test-plain

test-compiled: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The lab, which has no kernels, is left out where the JIT is off.
test-plain: .venv/ready-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --ignore=tests/lab --cov --cov-report=term:skip-covered --cov-fail-under=95

test-full: test
	$(BIN)/python -m pytest -m full

# The lowest NumPy and SciPy have wheels up to Python 3.12.
OLDEST ?= python3.10
test-oldest:
	$(OLDEST) -m venv .venv-oldest
	.venv-oldest/bin/python tests/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --disable-pip-version-check -e '.[dev]' -c .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pytest

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site is made of committed notebooks, Markdown and sources; nothing is executed, and minidl is not imported.
SITE := .venv-site
site: $(SITE)/ready
	$(SITE)/bin/python docs/site/build.py

site-serve: site
	@echo "The site is at http://127.0.0.1:8000/ (Ctrl-C ends it)"
	@$(SITE)/bin/python -m http.server --bind 127.0.0.1 --directory build/site 8000

# In Chromium, if there is one; otherwise the tests are skipped, and say so.
site-test: site
	node --test tests/site/*.test.mjs

# ---- preparing .venv --------------------------------------------------------------------------------------------------

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
	  echo "minidl needs Python 3.10 to 3.14, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)"; \
	  echo "Install one from python.org or your package manager, and name it: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12"; \
	  exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' comes without its venv module, which minidl uses to keep its packages apart from yours."; \
	  echo "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: a Python from python.org has it."; \
	  exit 1; }
	$(PYTHON) -m venv .venv

.venv/ready: pyproject.toml | .venv/bin/python
	@echo "Installing minidl and what it needs into .venv (about 600 MB; once) ..."
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -e .
	@touch $@

.venv/ready-lessons: pyproject.toml | .venv/bin/python
	@echo "Installing minidl and JupyterLab into .venv (once) ..."
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -e '.[lessons]'
	@touch $@ .venv/ready

# PyTorch comes without CUDA, ten times smaller, where its own index can be reached.
CPU_TORCH := https://download.pytorch.org/whl/cpu
.venv/ready-dev: pyproject.toml | .venv/bin/python
	@echo "Installing minidl and the tools for its tests into .venv (about 1.5 GB; once) ..."
	@if command -v curl >/dev/null && curl -sf --max-time 5 -o /dev/null $(CPU_TORCH)/; then \
	  export PIP_EXTRA_INDEX_URL=$(CPU_TORCH); fi; \
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -e '.[dev]'
	@touch $@ .venv/ready

$(SITE)/ready: docs/site/requirements.lock docs/site/package.json docs/site/package-lock.json
	@command -v npm >/dev/null || { echo "The site needs node and npm, which typeset its mathematics: https://nodejs.org"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The site needs Python 3.11 or later: make site PYTHON=python3.12"; exit 1; }
	@echo "Installing what builds the site into $(SITE) (about 250 MB; once) ..."
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --disable-pip-version-check --progress-bar on -r docs/site/requirements.lock
	cp docs/site/package.json docs/site/package-lock.json $(SITE)/
	npm ci --prefix $(SITE) --no-audit --no-fund
	@touch $@

clean:
	rm -rf .venv .venv-oldest .venv-site runs build dist *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
