# Everything a newcomer, a developer and CI do. A bare `make` prints this list.

PYTHON ?= python3
DATA ?=
DIR ?=
MINUTES ?=
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

VENV := .venv
TRAIN_VENV := .venv-train
TFLITE_VENV := .venv-tflite
BIN := $(VENV)/bin
TRAIN := PYTHONPATH=.:models $(TRAIN_VENV)/bin/python
JUNIT := build/junit

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-train lint format audit bench bench-hq policy street train evaluate docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.ready ## a whole simulated site: broker, unit, HQ; Ctrl-C stops it
	@./install.sh --packages run
	@$(BIN)/python -m firmware.demo $(ARGS)

test: $(VENV)/.ready $(TFLITE_VENV)/.ready ## the tests (under two minutes)
	@./install.sh --packages test
	@mkdir -p $(JUNIT)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadscope --junitxml=$(JUNIT)/test.xml $(ARGS)

test-slow: $(VENV)/.ready $(TFLITE_VENV)/.ready ## the longer tests: faults, kills, the network stalled, HQ's pages in a browser
	@./install.sh --packages test
	@mkdir -p $(JUNIT)
	$(BIN)/python -m pytest -m slow --timeout=900 --junitxml=$(JUNIT)/slow.xml $(ARGS)

test-train: $(TRAIN_VENV)/.ready ## the tests of the training code (needs torch and TensorFlow, 2.4 GB)
	@./install.sh --packages train
	@mkdir -p $(JUNIT)
	PYTHONPATH=.:models $(TRAIN_VENV)/bin/python -m pytest -m train --timeout=900 --junitxml=$(JUNIT)/train.xml tests/train $(ARGS)

lint: $(VENV)/.ready ## ruff, mypy strict, the import rule, shellcheck, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck install.sh .ci/run
	$(BIN)/python -m mqtt.schema --check

format: $(VENV)/.ready ## put the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/.ready ## do the installed packages fit together (known holes: docs/hq-running.md, Dependencies)
	$(BIN)/python -m pip check

bench: $(VENV)/.ready ## speed and memory, stage by stage, on this machine
	$(BIN)/platewarden bench $(ARGS)

policy: $(VENV)/.ready ## which clause of policy 430 is met: clause, tests, result (in build/policy.md)
	@./install.sh --packages test
	@rm -f build/policy.md
	@$(BIN)/python -m pytest -p tests.policy --policy build/policy.md $(ARGS); code=$$?; \
	tail -n 1 build/policy.md; exit $$code

bench-hq: $(VENV)/.ready ## HQ's intake and searches: make bench-hq ARGS='--rows 100000 1000000 10000000'
	@./install.sh --packages test
	$(BIN)/python -m hq.records.bench $(ARGS)

street: $(VENV)/.ready ## the measuring street: 1,000 rendered passages, read and counted
	$(BIN)/platewarden bench street $(ARGS)

train: $(TRAIN_VENV)/.ready ## train the models anew: make train DATA=DIR (without DATA on synthetic plates)
	@./install.sh --packages train
	$(TRAIN) -m train.locator $(if $(DATA),--data $(DATA)) $(if $(MINUTES),--minutes $(MINUTES)) --out models $(ARGS)
	$(TRAIN) -m train.corners $(if $(DATA),--data $(DATA)) $(if $(MINUTES),--minutes $(MINUTES)) --out models $(ARGS)
	$(TRAIN) -m train.ocr $(if $(DATA),--data $(DATA)) $(if $(MINUTES),--minutes $(MINUTES)) --out models $(ARGS)
	$(if $(DATA),$(TRAIN) -m train.region --data $(DATA) $(if $(MINUTES),--minutes $(MINUTES)) --ocr models/ocr.npz --out models $(ARGS))

evaluate: $(VENV)/.ready ## the model card's tables: make evaluate DATA=DIR (or DIR=DIR for a folder of your own)
	PYTHONPATH=.:models $(BIN)/python -m train.evaluate $(if $(DATA),--data $(DATA)) $(DIR) $(ARGS)

docs: $(VENV)/.ready ## write the generated documents anew
	$(BIN)/python -m mqtt.schema
	$(BIN)/python -m firmware.config --docs docs/configuration.md

clean: ## remove what make made (not the models, not your data)
	rm -rf $(VENV) $(TRAIN_VENV) $(TFLITE_VENV) build .demo *.egg-info

# setuptools warns of every editable install of several folders; a newcomer need not read that.
$(VENV)/.ready: pyproject.toml
	@./install.sh --packages venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[unit,video,hq,dev]'
	@touch $@

# torch comes first and by its version: a plain range would bring the CUDA build of several GB.
$(TRAIN_VENV)/.ready: pyproject.toml
	@./install.sh --packages venv
	$(PYTHON) -m venv $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python -m pip install --quiet 'torch==2.13.0'
	PYTHONWARNINGS=ignore $(TRAIN_VENV)/bin/python -m pip install --quiet --editable '.[train]' pytest pytest-timeout hypothesis
	@touch $@

# The older runtime needs numpy 1, so it lives apart; where no wheel fits, its test says so.
$(TFLITE_VENV)/.ready: Makefile
	@./install.sh --packages venv
	@$(PYTHON) -m venv $(TFLITE_VENV)
	@$(TFLITE_VENV)/bin/python -m pip install --quiet 'tflite-runtime==2.14.0' 'numpy<2' 'pillow>=10.3' \
	  || echo "make: no tflite-runtime for this Python; the test that compares both runtimes will skip"
	@touch $@
