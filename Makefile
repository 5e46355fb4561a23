# make help says what there is. Everything is run from the repository's root.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build check fmt fmt-check lint race test test-unit provision demo bench bench-peers bench-apply bench-copy golden torture fuzz clean

GO ?= go
# The versions of the tools are pinned in tools/go.mod, away from our own go.mod.
TOOL := $(GO) tool -modfile=tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZ ?= 1000x
# Tests of real servers run three packages at a time: each starts servers of its own, and waits for them as long as it works. The slowest are first.
TESTFLAGS ?=
SERVER_TESTS = $(shell grep -rlE --include='*_test.go' --exclude-dir='.?*' '^//go:build servers' . | xargs -n1 dirname | sort -u)

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/cdc, one static binary
	@scripts/check-deps.sh go
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/cdc ./cmd/cdc

check: fmt-check lint race fuzz ## format, vet and other linters, the race detector on unit tests, a moment of each fuzz target: no server needed

fmt: ## format the code
	$(TOOL) gofumpt -w .

fmt-check:
	@scripts/check-deps.sh go
	@echo 'gofumpt -l .'; bad=$$($(TOOL) gofumpt -l .); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

lint: ## golangci-lint with the layering; building it takes two minutes, once
	$(TOOL) golangci-lint run

race:
	@scripts/check-deps.sh cc
	$(GO) test -race -timeout 10m $(TESTFLAGS) ./...

test-unit: ## the tests that need no server
	@scripts/check-deps.sh go
	$(GO) test -tags invariants -timeout 10m $(TESTFLAGS) ./...

test: provision ## the packages with tests on real servers; make check has run the others
	$(GO) test -tags servers,invariants -p 3 -timeout 60m $(TESTFLAGS) ./internal/e2e ./source/live ./sinks/kafka ./schemas ./internal/testbed $(SERVER_TESTS)

provision: ## download the servers that the tests run, into .cache/servers (or CDC_CACHE)
	@scripts/check-deps.sh go apt maven python
	$(GO) run ./internal/testbed/cmd/provision

demo: ## a shop's traffic on a real MySQL, captured, counted (DEMO_SECONDS=30, KAFKA=1 into topics, MYSQL=mysql://user@host/ for one of yours)
	@scripts/check-deps.sh go $(if $(MYSQL),,apt) $(if $(KAFKA),maven)
	$(GO) run ./internal/demo

bench: ## speed and memory beside go-mysql's decoder and the bare dump, to bench/RESULTS.md
	@scripts/check-deps.sh go apt maven
	$(GO) run ./internal/bench

bench-peers: ## the real Debezium and Maxwell beside ours, into one broker, to bench/PEERS.md
	@scripts/check-deps.sh go apt maven
	$(GO) run ./internal/bench -peers

bench-apply: ## MySQL's own replica beside ours, from one server to another, to bench/APPLY.md (BENCH_ROWS=300000, BENCH_RUNS=3)
	@scripts/check-deps.sh go apt
	$(GO) run ./internal/bench -apply

bench-copy: ## mydumper, mysqldump and a query of checksums beside snapshot and verify, to bench/COPY.md (BENCH_ROWS=1000000, BENCH_RUNS=3)
	@scripts/check-deps.sh go apt
	$(GO) run ./internal/bench -copy

golden: ## record the golden files of Debezium, Maxwell and Canal anew, into format/testdata/peers and admin/takeover/testdata
	@scripts/check-deps.sh go apt maven
	$(GO) run ./internal/peers/cmd/golden
	$(GO) run ./internal/peers/cmd/offsets

torture: ## kills and faults, many more than the tests make
	@scripts/check-deps.sh go apt maven python
	$(GO) run ./internal/torture

fuzz: ## each fuzz target with as many inputs (FUZZ=1000x), or for so long (FUZZ=60s)
	@scripts/check-deps.sh go
	@GO='$(GO)' scripts/fuzz.sh $(FUZZ)

clean: ## remove what was built; the downloaded servers stay (rm -r .cache for those)
	rm -rf bin demo-out
	find . -name '*.test' -not -path './.*' -type f -delete
