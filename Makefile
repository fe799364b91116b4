# `make lab` opens the course, `make test` passes every test; both set up .venv first, once.
# The same without make, for Windows and conda: see README.md.

# The first of these that is Python 3.11 to 3.13 makes the environment; `make lab PYTHON=python3.12` chooses.
PYTHON ?= python3 python3.13 python3.12 python3.11
# For JupyterLab: make lab LAB_FLAGS="--no-browser --port=8899"
LAB_FLAGS ?=
# Only these lessons: make course LESSONS="01 02"
LESSONS ?=
# Only these problem sets: make grade SETS="ps01 ps02"
SETS ?=
# Only these mistakes: make mutants MUTANTS="operator 01_mdps"
MUTANTS ?=
# What only the teacher knows: make class-copy SEED=...
SEED ?=

# A file's tests stay together, because they share what is slow to set up; each process computes on one thread.
PARALLEL := -n auto --dist loadfile
unit nbval mutants execute: export OPENBLAS_NUM_THREADS = 1
unit nbval mutants execute: export OMP_NUM_THREADS = 1

BIN := .venv/bin
NOTEBOOKS = $(wildcard notebooks/*.ipynb solutions/*/*.ipynb)
PROBLEM_SETS = $(patsubst solutions/%/,%,$(sort $(wildcard solutions/*/)))
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help lab course test lint unit nbval mutants browser execute release site bench grade class-copy load-test constraints clean

help:  ## show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

lab: .venv/ready-course  ## open JupyterLab on the welcome notebook
	@$(BIN)/python -m pencourse lab -- $(LAB_FLAGS)

course: .venv/ready-course  ## execute every lesson in a copy; table time, memory and certificates
	@$(BIN)/python -m pencourse course $(LESSONS)

test: lint unit nbval mutants  ## set up everything and pass every test
test: MUTANTS = --tests-passed

lint: .venv/ready-test  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: .venv/ready-test browser  ## unit tests with coverage, and JupyterLab in a browser
	$(BIN)/python -m pytest --cov $(PARALLEL)

nbval: .venv/ready-test  ## lessons and solutions print what they have stored
	$(if $(NOTEBOOKS),$(BIN)/python -m pytest -q $(PARALLEL) --nbval --nbval-current-env --nbval-cell-timeout 600 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg $(NOTEBOOKS))

mutants: .venv/ready-test  ## every mistake planted in the library is caught
	$(BIN)/python tests/mutants.py $(MUTANTS)

browser: .venv/ready-test  ## get Chromium for the browser test, where the system allows it
	@$(BIN)/python tests/chromium.py

execute: .venv/ready-course  ## re-execute lessons and solutions in place
	@$(BIN)/python -m pencourse execute $(LESSONS)

# Without its database, so that a teacher's gradebook under grading/ is not touched.
release: .venv/ready-test  ## regenerate exercises/ from solutions/
	rm -rf exercises
	@for set in $(PROBLEM_SETS); do $(BIN)/nbgrader generate_assignment --force --no-db "$$set" || exit 1; done

# Nothing is executed: the pages show what the notebooks store. The home page is build/site/index.html.
site: .venv/ready-site  ## build the website from the same notebooks into build/site
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs -d build/doctrees . build/site

bench: .venv/ready-bench  ## measure speed beside other packages, on one thread
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py

# make grade SETS=ps01; more options: python -m pencourse grade --help
grade: .venv/ready-class  ## autograde what is in grading/submitted; table the scores
	@$(BIN)/python -m pencourse grade $(SETS)

class-copy: .venv/ready-class  ## write the problem sets with other instances for a class: SEED=a-long-secret
	@$(BIN)/python -m pencourse class-copy --seed "$(SEED)" $(SETS)

load-test: .venv/ready-test  ## grade 200 submissions, hostile ones among them; takes minutes
	cd tests && OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ../$(BIN)/python load.py

constraints: $(BIN)/pip  ## raise constraints.txt to the newest versions
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate --no-header --all-extras \
	  pyproject.toml --output-file constraints.txt

clean:  ## remove .venv and caches, never grading/
	rm -rf .venv .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

# Setting up. A file .venv/ready-EXTRAS is made last, so it is there only after a complete install, and another install
# follows only when what is to be installed has changed. They are several because a reader of the course should not
# wait for what only its tests need.
.venv/ready-course: extras = course
.venv/ready-class: extras = course,classroom
.venv/ready-test: extras = course,classroom,test,site
.venv/ready-site: extras = course,site
.venv/ready-bench: extras = course,bench

.venv/ready-%: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing the packages of [$(extras)] into .venv; the first time takes a few minutes."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(extras)]'
	@touch $@

# pip comes last into a new environment, so without it the environment is none, or half one.
$(BIN)/pip:
	@found=; for python in $(PYTHON); do \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	  case $$version in 3.11|3.12|3.13) ;; *) found="$$found $$python is $$version."; continue;; esac; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "Python's venv module is missing: on Debian and Ubuntu, apt install python$$version-venv brings it." >&2; \
	    exit 1; }; \
	  exec "$$python" -m venv --clear .venv; \
	done; \
	echo "The course needs Python 3.11, 3.12 or 3.13 on the PATH; there is none.$$found" >&2; \
	exit 1
