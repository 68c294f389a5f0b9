# Every target that is listed by `make help` works from a clean checkout on a
# machine with go, git and make; what else is missing, scripts/setup installs.

BINARY  := bin/caddy-tickets
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Smallstep's certificate authority would bring three database drivers along.
TAGS    := nobadger,nomysql,nopgx
BRAND   := github.com/caddyserver/caddy/v2
LDFLAGS := -s -w -X $(BRAND).CustomBinaryName=caddy-tickets -X $(BRAND).CustomVersion=$(VERSION)

# Tests start servers of their own: two packages at a time fill two cores.
TEST_FLAGS := -race -tags $(TAGS) -p 2 -timeout 15m
FUZZTIME   := 20s
PACKAGES   := ./...

.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z\/-]*:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/caddy-tickets
	@mkdir -p bin
	go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/caddy-tickets

setup: ## install redis-server, PostgreSQL and Chromium where missing
	@scripts/setup

test: setup build ## vet, then every test with the race detector (PACKAGES=./x for some)
	go vet -tags $(TAGS) $(PACKAGES)
	@scripts/test $(TEST_FLAGS) $(PACKAGES)

race: test ## the same as test, which always has the race detector on

lint: ## golangci-lint with the rules of .golangci.yml
	golangci-lint run

fuzz: ## each fuzz target for FUZZTIME (20s)
	@scripts/fuzz $(FUZZTIME)

verify: build ## formatting, modules and the Caddyfile are in order
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go mod verify
	$(BINARY) validate --config Caddyfile

demo: build ## the whole of it on this machine (FANS=2000 sends fans, EXIT=1 ends then, DEMO='--plan x' more)
	@scripts/setup --no-browser
	$(BINARY) demo $(if $(FANS),--fans $(FANS)) $(if $(EXIT),--exit) $(DEMO)

BENCH = @go run ./bench -binary $(BINARY) -only '$(or $(ONLY),.)'

bench: build ## every benchmark, a line per figure: name value unit target ok|MISS (ONLY=regexp for some)
	@scripts/setup --no-browser
	$(BENCH)

bench-queue: build ## five million places: joins, memory, board, admission, draw, what Redis does meanwhile
	@scripts/setup --no-browser
	$(BENCH) -set queue

bench-park: build ## 19,000 fans who wait at one edge: memory of each, CPU of a line
	@scripts/setup --no-browser
	$(BENCH) -set park

db: build ## bring the database that TICKETS_DATABASE names up to date
	$(BINARY) migrate up

run: build ## the edge with ./Caddyfile
	$(BINARY) run --config Caddyfile

clean: ## remove what was built and the demo's data
	@if [ -L .demo ]; then rm -rf "$$(readlink .demo)"; fi
	rm -rf bin .demo

.PHONY: help build setup test race lint fuzz bench bench-queue bench-park demo verify db run clean
