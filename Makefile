# Two commands for a fresh clone: `make search` and `make test`. Each makes the environment .venv on first use.
# `make` alone says what else there is: the targets below that have a line after ##.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
# Two files of tests at a time, since a file's tests share what it made; in the order of tests/conftest.py.
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help search scale journeys test coverage docs lint types clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

search: $(VENV)/installed  ## a first search of the v2 space on images made on the spot, at a quarter of its width; ARGS="--trials 40"
	$(RUN) nas.search --space v2 --width 0.25 --trials 16 $(ARGS)

scale: $(VENV)/installed  ## which alpha, beta, gamma scale EfficientNet-B0? A quarter of its width on small images
	$(RUN) nas.scale --phi 1..7 --base efficientnet_b0 --width 0.25 --resolution 64 --data glyphs:n=2400 --grid-step 0.1 \
		--seeds 2 --set train.learning_rate=0.003 $(ARGS)

journeys: $(VENV)/installed  ## the four users' journeys, each with its time; make journey-researcher is one of them
	PYTHON=$(VENV)/bin/python bash examples/journeys.sh

journey-%: $(VENV)/installed
	PYTHON=$(VENV)/bin/python bash examples/$*.sh

test: $(VENV)/installed  ## the tests
	$(RUN) pytest $(TWO)

coverage: $(VENV)/installed  ## runs the tests and prints what share of each package's lines they run
	$(RUN) pytest $(TWO) --cov=search_spaces --cov=studies --cov=reports --cov=nas --cov-report=
	@for package in nas reports studies search_spaces; do \
		echo "$$package $$($(RUN) coverage report --include="$$package/*" --format=total) %"; done
	@for package in reports studies search_spaces; do \
		$(RUN) coverage report --include="$$package/*" --format=total --fail-under=90 > /dev/null || exit 1; done

docs: $(VENV)/installed  ## the documents as a site, in site/
	$(RUN) mkdocs build --strict

lint: $(VENV)/installed  ## ruff
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: $(VENV)/installed  ## mypy
	$(RUN) mypy

# torch and torchvision in the same resolver call as all else, so that they match; checked by importing them.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(f"Python >= 3.11 is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --progress-bar off -e '.[dev]'
	$(VENV)/bin/python -c 'import torchvision'
	touch $@

clean:  ## removes the environment and what tools left behind, no run
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage
