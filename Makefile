# p2plab: every target sets up what it needs. The machine needs Python 3.11 or newer, and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NOTEBOOK ?= notebooks/00-start-here.ipynb
ROOT_OK  := $(if $(filter 0,$(shell id -u)),--allow-root)

APP_OPTIONS ?=

# Tests are shared out among the processors, file by file; those that measure time run alone afterwards.
SHARED_OUT := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# How many students `make class` simulates. The hub's proxy comes from npm; its version 5 needs Node.js 20.
N ?= 30
PROXY := $(VENV)/proxy/node_modules/.bin/configurable-http-proxy
PROXY_VERSION = $(shell node -p 'parseInt(process.versions.node) >= 20 ? "5.3.0" : "4.6.3"')

# The site without a server is built in an environment of its own; its parts are kept in .p2plab/lite.
LITE := .p2plab/lite
LITE_READY := $(LITE)/venv/.ready
USB ?= p2plab-usb

.PHONY: help setup lab app proxy class binder links dist lite lite-test usb usb-test docs test quick bench pictures clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## an environment in .venv with everything pinned

lab: $(READY) ## open the first notebook in JupyterLab
	$(BIN)/jupyter lab $(ROOT_OK) $(NOTEBOOK)

app: $(READY) ## the lab alone as a web page, without a notebook around it
	JUPYTER_PATH=$(CURDIR)/ways/share/jupyter JUPYTER_CONFIG_PATH=$(CURDIR)/ways/share/jupyter/config $(BIN)/voila $(APP_OPTIONS) notebooks/app.ipynb

proxy: $(PROXY) ## what a class's hub needs besides Python packages, from npm

class: $(READY) $(PROXY) ## a JupyterHub on this machine with N=30 simulated students in the first lab
	$(BIN)/python -m ways.classroom --students $(N)

lite: $(READY) $(LITE_READY) ## a site that needs no server: Python in the browser, nothing fetched from elsewhere
	$(LITE)/venv/bin/python ways/lite/build.py

lite-test: lite ## every notebook of that site, in Chromium with the network closed
	P2PLAB_LITE=all $(BIN)/pytest tests/browser/test_lite.py

usb: $(READY) ## a folder that sets up a machine without a network: USB=/media/stick/p2plab
	$(BIN)/python ways/offline/build.py $(USB) $(USB_OPTIONS)

usb-test: $(READY) ## such a folder, and a machine set up from it without a network
	P2PLAB_USB=all $(BIN)/pytest tests/offline

binder: $(READY) ## check what Binder would build, as far as this machine can
	$(BIN)/python -m ways.publish.binder

links: $(READY) ## all links to a published copy: make links REPO=gh/OWNER/REPO [TAG=v1.0] [HUB=https://…]
	@$(BIN)/python -m ways.publish.links $(REPO) $(if $(TAG),--tag $(TAG)) $(if $(HUB),--hub $(HUB))

dist: $(READY) ## source and wheel for a package index, in dist/: make dist [REPO=gh/OWNER/REPO]
	P2PLAB_REPOSITORY=$(REPO) $(BIN)/hatchling build

test: $(READY) ## all checks and all tests; browser tests where there is a Chromium
	@command -v npm >/dev/null && $(MAKE) --no-print-directory proxy || echo "no proxy from npm: the tests of a class are left out"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.whole $(SHARED_OUT) -m "not browser and not timed"
	$(BIN)/python -m tests.whole $(SHARED_OUT) -m "browser and not timed"
	$(BIN)/python -m tests.whole -m timed

quick: $(READY) ## the tests without a browser
	$(BIN)/python -m tests.whole $(SHARED_OUT) -m "not browser and not timed"
	$(BIN)/python -m tests.whole -m "timed and not browser"

bench: $(READY) ## the benchmarks, side by side with their peers
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(READY) ## the site: course with pictures, guides, API reference; in build/site/html
	$(BIN)/python docs/site/build.py

pictures: $(READY) ## take the screenshots in assets/ again
	$(BIN)/python tests/browser/take_pictures.py
	$(BIN)/python tests/browser/take_notebooks.py

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results

$(PROXY): | $(READY)
	@command -v npm >/dev/null || { echo "JupyterHub's proxy comes from npm, and there is none here. On Debian or Ubuntu: apt install npm"; exit 1; }
	npm install --silent --no-audit --no-fund --prefix $(VENV)/proxy configurable-http-proxy@$(PROXY_VERSION)

$(LITE_READY): ways/lite/requirements.txt
	$(PYTHON) -m venv $(LITE)/venv
	@grep -oE '^[^ ]+==[^ ]+' requirements.lock > $(LITE)/constraints.txt
	$(LITE)/venv/bin/python -m pip install --quiet --disable-pip-version-check -c $(LITE)/constraints.txt -r ways/lite/requirements.txt
	@touch $(LITE_READY)

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "p2plab needs Python 3.11 or newer; there is no '$(PYTHON)' here. Install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "p2plab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Say make PYTHON=/path/to/a/newer/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python has no venv module. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/jupyter labextension disable "@jupyterlab/apputils-extension:announcements" >/dev/null 2>&1
	@touch $(READY)
