# The two commands: `make book` builds the site, `make test` runs every check.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
MAKEFLAGS += --no-print-directory
export PYTHONPATH := $(CURDIR)
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

# The environment is ready when it holds these pins, whatever the files' times.
PINS := requirements.txt constraints.txt pyproject.toml
READY ?= $(VENV)/ready-$(shell cat $(PINS) | cksum | cut -d' ' -f1)

CHAPTER ?=
CHAPTERS ?= $(sort $(wildcard chapters/*/*.ipynb))
TESTS ?= tests --ignore=tests/test_faults.py
JOBS ?= 2
BUILD := $(VENV)/bin/jupyter-book build . -W --keep-going -n -q
PYTEST := $(PY) -m pytest -q -p no:cacheprovider --dist loadfile
# One kernel a notebook; the exercises are not collected: they are unsolved.
OUTPUTS := $(PYTEST) -n $(JOBS) --nbval $(CHAPTERS) \
	--nbval-sanitize-with tests/nbval.cfg
# The least that a 64-bit processor has, for all that chooses code by processor.
GENERIC := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE \
	ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem \
	NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR"

.PHONY: book test lint unit outputs site faults run portable mutants browser
.PHONY: address clean setup coverage benchmark retrain
.DEFAULT_GOAL := book
.NOTPARALLEL:

ifeq (retrain,$(firstword $(MAKECMDGOALS)))   # its second word is no target
NAME ?= $(word 2,$(MAKECMDGOALS))
$(eval $(NAME):;@:)
endif

setup: $(READY)

$(VENV)/ready-%:
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a minute or two) ..."
	@$(PY) -m pip install -qq --disable-pip-version-check \
		-r requirements.txt -c constraints.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps -e .
	@rm -f $(VENV)/ready-* && touch $@

book: $(READY)          ## build the site, print its first page
	@$(PY) book/press.py prose
	@$(BUILD)
	@$(PY) book/site.py _build/html
	@echo "$(CURDIR)/_build/html/index.html"

test: lint unit outputs site faults   ## every check

lint: $(READY)
	@$(VENV)/bin/ruff check -q diffkit tests book chapters benchmarks
	@$(VENV)/bin/ruff format -q --check diffkit tests book chapters benchmarks

unit: $(READY)
	@$(PYTEST) -n $(JOBS) $(TESTS)

outputs: $(READY)       ## compute every stored output again
	@$(OUTPUTS)

site: $(READY)          ## build from nothing, a warning is an error
	@rm -rf _build
	@$(BUILD)
	@$(PY) book/site.py _build/html

faults: $(READY)        ## the checks above must see what is planted
	@$(PYTEST) -n $(JOBS) --dist load tests/test_faults.py

run: $(READY)           ## execute what is out of date, or CHAPTER=part/slug
	@$(PY) book/press.py run $(CHAPTER)

portable: $(READY)      ## the same outputs elsewhere; two threads have both cores
	@OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 \
		$(subst -n $(JOBS),-n 1,$(OUTPUTS))
	@$(GENERIC) $(OUTPUTS)

mutants: $(READY)       ## wrong formulas in diffkit must fail its tests
	@$(PY) tests/mutants.py

coverage: $(READY)      ## lines and branches of diffkit that its tests miss
	@UNCHECKED=1 $(PYTEST) -n $(JOBS) --cov --cov-report=term-missing:skip-covered \
		$(TESTS)

benchmark: $(READY)     ## how exact worlds and samplers are, what they cost
	@$(PY) benchmarks/exact.py
	@$(PY) benchmarks/samplers.py

browser: $(READY)       ## open every page in Chromium
	@test -e _build/html/index.html || $(MAKE) book
	@$(PY) tests/browser.py

retrain: $(READY)       ## make a net that ships anew: make retrain moons
	@$(PY) benchmarks/retrain.py $(NAME)

address: $(READY)       ## write the repository's address from _config.yml
	@$(PY) book/press.py address

clean:                  ## what was built; the environment stays (rm -r .venv)
	@rm -rf _build .pytest_cache .ruff_cache .hypothesis .coverage
	@find chapters diffkit book tests -name __pycache__ -prune -exec rm -rf {} +
