# Weir's habits. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# In CI a stale lock file is a mistake; at home cargo may mend it.
CARGO ?= cargo
LOCKED := $(if $(CI),--locked)
TARGETS := $(abspath $(or $(CARGO_TARGET_DIR),target))
WEIR := $(TARGETS)/release/weir
E2E := WEIR_BIN=$(WEIR) $(CARGO) test $(LOCKED) --release -p weir-e2e
LAB := $(CARGO) run $(LOCKED) --release -p weir-e2e --bin lab --

# The image holds nothing but two programs, so that these bring their libc along: Rust's own musl, linked
# by Rust's own linker. ring alone is C; it asks libc for memcpy and the like only, for which any C
# compiler's headers will do, but for what some distributions' make of it (_FORTIFY_SOURCE is glibc's).
# Where crates, this directory and what is built lie on this machine is kept out of the programs: of
# several prefixes that match the last one counts. Flags of the caller's would take the place of these.
STATIC := x86_64-unknown-linux-musl
STATIC_FLAGS = \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo \
	--remap-path-prefix=$(CURDIR)=/weir \
	--remap-path-prefix=$(TARGETS)=/target
STATIC_ENV = env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
	CC_$(subst -,_,$(STATIC))=gcc \
	CFLAGS_$(subst -,_,$(STATIC))='-U_FORTIFY_SOURCE -ffile-prefix-map=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo' \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS='$(strip $(STATIC_FLAGS))'
IMAGE_DIR := $(TARGETS)/image

# Without default features it needs no TLS: it is never asked to fetch anything. Not optimised it is built in half
# the time, and runs for seconds all the same.
DENY_VERSION := 0.20.2
DENY := target/tools/bin/cargo-deny

CHECKOV_VERSION := 3.3.30
CHECKOV := target/tools/checkov/bin/checkov

.PHONY: help
help: ## Lists these targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sort \
		| awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: build
build: ## Builds the operator and the plugin, optimised
	$(CARGO) build $(LOCKED) --release -p weir

.PHONY: static
static: ## Builds both programs so that they run on any Linux of this architecture
	rustup target list --installed | grep -qx $(STATIC) || rustup target add $(STATIC)
	$(STATIC_ENV) $(CARGO) build $(LOCKED) --release -p weir --target $(STATIC)

.PHONY: image
image: static ## Builds target/image/weir.tar, which docker, containerd and kind load; IMAGE=registry/name:tag
	$(CARGO) run $(LOCKED) --release -p weir-image -- weir $(if $(IMAGE),--name $(IMAGE)) \
		--programs $(TARGETS)/$(STATIC)/release --out $(IMAGE_DIR)

.PHONY: image-agent
image-agent: ## Builds target/image/weir-agent.tar, the agent of tests on real nodes
	rustup target list --installed | grep -qx $(STATIC) || rustup target add $(STATIC)
	$(STATIC_ENV) $(CARGO) build $(LOCKED) --release -p weir-e2e --bin weir-agent --target $(STATIC)
	$(CARGO) run $(LOCKED) --release -p weir-image -- agent \
		--programs $(TARGETS)/$(STATIC)/release --out $(IMAGE_DIR)

.PHONY: test-image
test-image: image ## Looks at the built image, and runs it where nothing else is (Linux)
	WEIR_IMAGE=$(IMAGE_DIR)/weir.tar $(CARGO) test $(LOCKED) --release -p weir-image --test built -- --ignored

.PHONY: krew
krew: static ## Packs the plugin for krew, with its manifest, into target/krew (Linux, amd64)
	krew/pack $(TARGETS)/$(STATIC)/release/kubectl-weir $(TARGETS)/krew

.PHONY: fmt
fmt: ## Formats all Rust code
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Formatting, clippy and documentation, with no warning left
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(LOCKED) --workspace --no-deps --document-private-items

.PHONY: deny
deny: $(DENY) ## Licences, sources and duplicates of all dependencies
	$(DENY) --workspace check --hide-inclusion-graph licenses bans sources

$(DENY):
	$(CARGO) install --locked cargo-deny@$(DENY_VERSION) --no-default-features --debug --root target/tools

$(CHECKOV):
	python3 -m venv target/tools/checkov
	target/tools/checkov/bin/pip install --quiet checkov==$(CHECKOV_VERSION)

.PHONY: generate
generate: ## Writes all generated files (crds/ and others)
	$(CARGO) run $(LOCKED) -p weir --bin weir -- generate .
	charts/generate

.PHONY: check-generate
check-generate: ## Fails if a generated file is not what the code generates
	$(CARGO) test $(LOCKED) -p weir --test generated

.PHONY: lint-chart
lint-chart: ## The Helm chart lints, installs what deploy/ holds, and refuses wrong values
	$(CARGO) test $(LOCKED) --release -p weir-e2e --test chart it_installs

.PHONY: test
test: test-unit test-chart test-e2e ## All tests but test-image and e2e; builds Kubernetes on first use (about 10 minutes on 2 cores)

.PHONY: test-unit
test-unit: ## Unit, documentation and architecture tests; no cluster
	$(CARGO) test $(LOCKED) -p weir -p weir-core -p weir-image

.PHONY: test-chart
test-chart: ## All about the Helm chart that needs no cluster; builds its tools on first use
	$(CARGO) test $(LOCKED) --release -p weir-e2e --test chart

.PHONY: bench
bench: ## How fast pages of metrics are read (a minute, once built)
	$(CARGO) bench $(LOCKED) -p weir-core --bench exposition

# Release only: the agents of a thousand nodes are played by one core. What is measured has the machine
# to itself, else one test's load is another's latency; other worlds mostly wait, and do so beside each
# other. They take the Weir that was built here: none runs cargo, nor waits for its lock.
.PHONY: test-e2e
test-e2e: ## Behaviour on real control planes, in namespaces of their own (Linux)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) tools
	$(CARGO) test $(LOCKED) --release -p weir-e2e --lib --bins
	$(E2E) --test measured -- --test-threads=1
	$(E2E) --test worlds -- --test-threads=3

.PHONY: test-e2e-dns
test-e2e-dns: ## The worlds of DNS that test-e2e has no room for (4 minutes, once built)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) tools
	$(E2E) --test worlds -- --test-threads=3 --ignored masks::

# The image and the chart on a real cluster: of kind's, which E2E_KUBECONFIG names and E2E_LOAD (a command,
# to which archives are appended) puts images on; else one that ../shared/kindlab makes, and that is gone
# afterwards unless E2E_KEEP is set. KIND_ARGS='--only update' runs one case.
KIND := E2E_IMAGES=$(IMAGE_DIR) $(E2E) --test kind -- run

.PHONY: e2e
e2e: image image-agent ## The installed operator on a real cluster, case by case (Linux with kind)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) tools
	$(KIND) $(KIND_ARGS)

.PHONY: e2e-smoke
e2e-smoke: image image-agent ## The same, but only installed, held, released and uninstalled
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) tools
	$(KIND) --smoke

.PHONY: demo
demo: ## One agent that harms, without Weir and with it, then one that does not (8 minutes)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) demo

.PHONY: pictures
pictures: ## Draws docs/pictures: what the plugin shows of a rollout that is held (2 minutes; needs script, of bsdutils)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) pictures

# Long proofs: each writes what it found to docs/proof, with commit, date, command and machine. They
# measure latency: nothing else may run beside them.
.PHONY: proof-demo
proof-demo: ## The demo, its summary kept (8 minutes)
	$(LAB) demo --proof docs/proof/demo.md

.PHONY: proof-profiles
proof-profiles: ## Every profile without and with Weir (70 minutes)
	$(LAB) table --steady 90s --timeout 15m --proof docs/proof/profiles.md

.PHONY: proof-repeat
proof-repeat: ## Ten holds of a harmful agent, five rollouts of a harmless one (35 minutes)
	$(LAB) repeat --profile e2e/profiles/pod-lister.yaml --runs 10 \
		--hold-within 30s --proof docs/proof/hold.md
	$(LAB) repeat --profile e2e/profiles/node-exporter.yaml --runs 5 \
		--observe 10s --proof docs/proof/harmless.md

.PHONY: proof-wide
proof-wide: ## A harmless agent on a thousand nodes (15 minutes)
	$(LAB) repeat --profile e2e/profiles/node-exporter.yaml --nodes 1000 --runs 3 \
		--observe 10s --idle 75s --complete-within 4m --proof docs/proof/wide.md

.PHONY: proof-truth
proof-truth: ## Forecasts beside what each width takes: four profiles, five runs each (4 hours)
	$(LAB) truth --runs 5 --profile e2e/profiles/pod-lister.yaml \
		--profile e2e/profiles/datadog-events.yaml \
		--profile e2e/profiles/fluent-bit-kubernetes.yaml \
		--profile e2e/profiles/leader-elected.yaml --proof docs/proof/truth.md

.PHONY: proof-beside
proof-beside: ## An update of what costs already, two rollouts at once, and an account that loops (90 minutes)
	$(LAB) repeat --profile e2e/profiles/pod-lister.yaml --runs 2 \
		--old-profile e2e/profiles/scenarios/pod-lister-rarely.yaml --proof docs/proof/costly-update.md
	$(LAB) repeat --profile e2e/profiles/pod-lister.yaml --runs 2 \
		--beside e2e/profiles/node-exporter.yaml --proof docs/proof/two-rollouts.md
	$(LAB) repeat --profile e2e/profiles/node-exporter.yaml --runs 5 --loop-at 32 --loop-metered \
		--bystander-loops e2e/profiles/scenarios/looping-client.yaml --proof docs/proof/not-the-cause.md
	$(LAB) repeat --profile e2e/profiles/node-exporter.yaml --runs 5 --loop-at 32 \
		--bystander-loops e2e/profiles/scenarios/looping-client.yaml \
		--proof docs/proof/not-the-cause-unmetered.md

.PHONY: proof-join
proof-join: ## A hundred nodes that join at once, without Weir and with it (18 minutes)
	$(LAB) join --profile e2e/profiles/cilium-start.yaml --steady 90s --timeout 30m --proof docs/proof/join.md

.PHONY: proof-ways
proof-ways: ## An update, two API servers, and the Careful pace (30 minutes)
	$(LAB) repeat --profile e2e/profiles/pod-lister.yaml --update --runs 2 --proof docs/proof/update.md
	$(LAB) repeat --profile e2e/profiles/pod-lister.yaml --api-servers 2 --runs 2 \
		--proof docs/proof/two-servers.md
	$(LAB) repeat --profile e2e/profiles/node-exporter.yaml --pace Careful --runs 1 \
		--idle 75s --proof docs/proof/careful.md

# Nodes and pods are few: what is measured is CoreDNS and Weir.
.PHONY: proof-dns
proof-dns: ## How soon masks of DNS are seen, waves in masked seconds, half an hour in which all is well (2 hours)
	$(LAB) dns --nodes 50 --pods 200 --churn 0.2 --proof docs/proof/dns.md

# The programs that are measured are those of the image.
.PHONY: proof-plugin
proof-plugin: image ## What the plugin and Weir's start take beside a rollout on a thousand nodes (5 minutes)
	WEIR_BIN=$(TARGETS)/$(STATIC)/release/weir $(LAB) plugin --nodes 1000 --proof docs/proof/plugin.md

.PHONY: proof-chart
proof-chart: $(CHECKOV) ## What kube-score and checkov say of the Helm chart (needs Python)
	CHECKOV=$(abspath $(CHECKOV)) $(CARGO) test $(LOCKED) --release -p weir-e2e --test chart \
		proof -- --ignored

.PHONY: proof-valve
proof-valve: ## What the gate may read approvals from, measured; prints Markdown (30 minutes)
	$(CARGO) run $(LOCKED) --release -p weir-e2e --bin valve-parameters

.PHONY: proof-kind
proof-kind: image image-agent ## The installed operator on three clusters, one after the other (2 hours)
	$(CARGO) build $(LOCKED) --release -p weir -p weir-e2e
	$(LAB) tools
	$(KIND) --runs 3 --proof docs/proof/kind.md

.PHONY: check
check: ## Everything that CI runs
	.ci/run

.PHONY: clean
clean: ## Removes what was built here; the Kubernetes programs stay in the user's cache
	$(CARGO) clean
