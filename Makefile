# Every gate of this project is a target here; `make help` lists them.
GO      ?= go
BIN     := bin/breakwater
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# TESTFLAGS adds to `go test`, e.g. make test TESTFLAGS='-run TestFloors -v'
TESTFLAGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary bin/breakwater
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/breakwater

.PHONY: run
run: build ## Build and start the gateway
	@$(BIN) serve

.PHONY: test
test: ## Run all tests with the race detector; prints what it skipped
	@GO='$(GO)' scripts/test.sh $(TESTFLAGS)

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each (default 10s)
	@GO='$(GO)' scripts/fuzz.sh

.PHONY: bench
bench: build ## Measure against a bare reverse proxy, in one run
	$(GO) run ./bench/gateway $(BENCHFLAGS)

.PHONY: microbench
microbench: ## Go benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, golangci-lint rules (see .golangci.yml)
	@GO='$(GO)' scripts/lint.sh

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
