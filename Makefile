# SPDX-License-Identifier: MPL-2.0

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

# Every module of the repository, each with its own go.mod, but for the programs of
# Kubernetes and the tools of a release: to compile those takes minutes, and only make
# e2e and make release-snapshot need them.
#
# The two that take longest to test come first.
MODULES := . ./forks/go-plugin $(filter-out . ./forks/go-plugin,$(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path './build/*' -not -path './test/e2e/kube/*' -not -path './tools/release/*' | sort)))
# Those that make test leaves out, since another target has tested them.
TESTED ?=
# Those whose tests occupy the machine on purpose, with floods and kills: nothing is tested
# beside them.
ALONE  := ./test/adversary ./test/chaos
TESTFLAGS ?= -race
FUZZTIME  ?= 10s

.PHONY: adoption adversary skew bench bench-quick chaos consumers terraform build run test check lint cross vuln compat interop images page e2e e2e-older generate api-check versions fuzz release-snapshot clean help build-so so-demo c-demo

help: ## say what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## build the host and the plugins into bin/, as static binaries
	scripts/build.sh bin

run: build ## greet through children and a network plugin, and show that it lives on
	scripts/run.sh

test: ## run the tests of every module, and say how many ran
	@go run -C tools ./testall -flags "$(TESTFLAGS)" -alone "$(filter-out $(abspath $(TESTED)),$(abspath $(ALONE)))" \
		$(filter-out $(abspath $(TESTED) $(ALONE)),$(abspath $(MODULES)))

check: ## look over every module: format, vet, tidiness, imports, README
	@scripts/check.sh $(MODULES)

lint: ## run golangci-lint, and staticcheck within it, over every module (the first time builds it)
	@scripts/lint.sh $(MODULES)

cross: ## build for macOS, Windows and arm64, where no test runs
	@scripts/cross.sh

vuln: ## look for known vulnerabilities that the programs call, where the database can be reached
	@scripts/vuln.sh . forks/go-plugin gen cmd/reattach

compat: ## answer the five questions with binaries old and new
	@scripts/compat.sh

interop: ## test the fork against the original library, and print what was compared
	@scripts/interop.sh

versions: ## test the fork with the oldest Go and dependencies that it allows, and with the newest
	@scripts/versions.sh

consumers: ## run plugins of other projects' SDKs on the fork and on the original library, with crowds in full
	go test -C test/consumers $(TESTFLAGS) -count=1 -v -timeout 30m . -args -all

adoption: ## run hosts and plugins that nobody rebuilds behind the shims, in full, and print a table of what was counted (6 minutes)
	@TESTFLAGS="$(TESTFLAGS)" scripts/adoption.sh

terraform: ## build the Terraform CLI into build/, for make adoption where there is none (2 minutes)
	GOBIN=$(abspath build/terraform) CGO_ENABLED=0 go install -ldflags='-s -w' github.com/hashicorp/terraform@v1.5.7

chaos: ## kill, stop, restart and upset plugins for minutes under load, and print what callers noticed
	go test ./test/chaos -count=1 -v -timeout 15m -args -for 60s

skew: ## run hosts and plugins of an earlier commit against those of this one, in full, and print what was counted
	go test ./test/skew -count=1 -v -args -all

adversary: ## attack plugins, daemon and API from outside (8 minutes), and print what it cost beside its bound
	go test ./test/adversary -count=1 -v -timeout 20m -args -all

bench: ## measure calls in every placement and against other libraries (15 minutes)
	@scripts/bench.sh

bench-quick: ## measure what has a bound (2 minutes), and fail if a call was lost or ran on
	@scripts/bench.sh -quick

api-check: ## compare the fork's API with the original library's
	@scripts/api-check.sh

build-so: ## build a shared object and a host that loads it (bin/basic-so) into bin/
	scripts/build-so.sh bin

images: ## build the images basic and pluginzh, with an engine or without one
	@scripts/images.sh build/images

page: ## test the daemon's page in a browser, and keep screenshots of it in build/page
	go test -C test/page -count=1 -v -timeout 30m . -args -shots $(abspath build/page)

e2e: ## test on a real cluster: that of KUBECONFIG, or a node from nothing (root, minutes)
	@scripts/e2e.sh

e2e-older: ## the same on a node of an older Kubernetes, 1.34
	@E2E_KUBERNETES=1.34 scripts/e2e.sh

so-demo: ## open one of two Go shared objects: PLUGIN_NUMBER=1 or 2
	@scripts/so-demo.sh build/so-demo

c-demo: ## open a Go library from C
	@scripts/c-demo.sh build/c-demo

generate: ## write generated code anew (examples/python needs a protoc of its own)
	@for f in $$(find . -name generate.sh | sort); do echo "$$f"; "$$f"; done
	@for d in examples/calculator examples/pricing; do echo "go generate -C $$d"; go generate -C "$$d"; done

fuzz: ## fuzz every target for FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME) $(MODULES)

release-snapshot: ## build twice what a release of VERSION (v0.1.0) would be made of, and compare
	@scripts/release.sh --snapshot $(or $(VERSION),v0.1.0)
	cp build/release/SHA256SUMS build/SHA256SUMS.first
	@scripts/release.sh --snapshot $(or $(VERSION),v0.1.0)
	diff build/SHA256SUMS.first build/release/SHA256SUMS && echo "both times the same"

clean: ## remove what was built
	rm -rf bin build
