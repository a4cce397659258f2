# `make help` lists the targets. Variables are set on the command line: make build ARCH=arm64
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BINARY := cloud-provider-equinix-metal
CARGO ?= cargo
DIST := dist

# ---------------------------------------------------------------- what is built, and for which machine
HOST_OS := $(shell uname -s | tr '[:upper:]' '[:lower:]')
HOST_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(shell uname -m)))
OS ?= $(HOST_OS)
ARCH ?= $(HOST_ARCH)
# The architectures of build-all, image-all and of every published image.
ARCHES ?= amd64 arm64

TARGET_linux_amd64 := x86_64-unknown-linux-gnu
TARGET_linux_arm64 := aarch64-unknown-linux-gnu
TARGET_darwin_amd64 := x86_64-apple-darwin
TARGET_darwin_arm64 := aarch64-apple-darwin
TARGET := $(TARGET_$(OS)_$(ARCH))
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BIN := $(DIST)/bin/$(BINARY)-$(OS)-$(ARCH)

# Linked without a C library to look for at run time, so that it runs in an empty image.
STATIC_linux := -C target-feature=+crt-static
RELEASE_ENV = RUSTFLAGS="$(strip $(RUSTFLAGS) $(STATIC_$(OS)))" $(CROSS_ENV)

ifneq ($(HOST_OS)-$(HOST_ARCH),$(OS)-$(ARCH))
CROSS_GNU_amd64 := x86_64-linux-gnu
CROSS_GNU_arm64 := aarch64-linux-gnu
ifeq ($(OS),linux)
CROSS_CC := $(CROSS_GNU_$(ARCH))-gcc
CROSS_ENV := CARGO_TARGET_$(shell tr 'a-z-' 'A-Z_' <<<'$(TARGET)')_LINKER=$(CROSS_CC) CC_$(subst -,_,$(TARGET))=$(CROSS_CC)
endif
endif

# ---------------------------------------------------------------- version: the tag on HEAD, else LATEST_TAG-SHORT_HASH
GIT_HASH := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
ifeq ($(origin VERSION),undefined)
VERSION := $(shell git describe --tags --exact-match HEAD 2>/dev/null || \
	echo "$$(git describe --tags --abbrev=0 2>/dev/null || echo v0.0.0)-$(GIT_HASH)")
endif
ifeq ($(origin GIT_COMMIT),undefined)
GIT_COMMIT := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
endif
ifeq ($(origin SOURCE_DATE_EPOCH),undefined)
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null)
endif
STAMP := VERSION="$(VERSION)" GIT_COMMIT="$(GIT_COMMIT)" SOURCE_DATE_EPOCH="$(SOURCE_DATE_EPOCH)"

# ---------------------------------------------------------------- images
BUILD_IMAGE ?= equinix/cloud-provider-equinix-metal
BUILD_TAG ?= latest
IMAGE ?= $(BUILD_IMAGE):$(BUILD_TAG)
TAGGED_ARCH_IMAGE ?= $(IMAGE)-$(ARCH)
BUILDER_IMAGE ?= docker.io/library/rust:1.95-bookworm
IMAGE_ROOT := $(DIST)/image/root
# The certificate authorities of this machine go into the image; CA_BUNDLE=FILE names others.
CA_BUNDLE ?= $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
	/etc/ssl/ca-bundle.pem /etc/ssl/cert.pem))
# docker, podman or buildah; CONTAINER_TOOL= chooses, else the first that works.
CONTAINER = $(STAMP) DRY_RUN="$(DRY_RUN)" PUSH_FLAGS="$(PUSH_FLAGS)" .ci/container
# Given to the tool whenever it pushes, such as --tls-verify=false for a registry on this machine.
PUSH_FLAGS ?=
# DRY_RUN=true prints what would leave this machine instead of doing it.
DRY_RUN ?=

##@ Everyday
.PHONY: help build test lint fmt schema examples bench e2e

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET [OS=$(OS)] [ARCH=$(ARCH)] [DOCKERBUILD=true] [CONTAINER_TOOL=docker|podman|buildah] [DRY_RUN=true]" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build the static program for OS and ARCH into dist/bin
ifeq ($(DOCKERBUILD),true)
	@[ "$(OS)" = linux ] || { echo "DOCKERBUILD=true builds for linux only, not for OS=$(OS); leave DOCKERBUILD out" >&2; exit 1; }
	@$(CONTAINER) build-in $(BUILDER_IMAGE) $(ARCH) make build OS=linux ARCH=$(ARCH)
else
	@$(MAKE) --no-print-directory check-target
	$(STAMP) $(RELEASE_ENV) $(CARGO) build --locked --release --target $(TARGET) --target-dir $(TARGET_DIR) --bin $(BINARY)
	@mkdir -p $(DIST)/bin
	@cp $(TARGET_DIR)/$(TARGET)/release/$(BINARY) $(BIN)
endif
	@ls -l $(BIN)

test: ## Run the tests: no cluster, no container, no network beyond loopback
	$(CARGO) test --locked

lint: ## Run clippy; a warning is an error
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test control_plane --test kubernetes_answers_real -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt

schema: ## Write schema/ anew from the policy's types
	@mkdir -p schema
	$(CARGO) run --locked --quiet -- schema > schema/.cloud-policy.schema.json
	@mv schema/.cloud-policy.schema.json schema/cloud-policy.schema.json

examples: ## Validate every policy in config-examples
	$(CARGO) run --locked --quiet -- validate config-examples/*.yaml

bench: ## Measure calls, times and memory; prints a table
	$(RUN_BENCHES)
# The program's own flags and folder, so that what `make build` compiled is not compiled again.
BENCHES := $(patsubst benches/%.rs,%,$(wildcard benches/*.rs)) $(patsubst benches/%/main.rs,%,$(wildcard benches/*/main.rs))
RUN_BENCHES = $(STAMP) $(RELEASE_ENV) $(CARGO) bench --locked --target $(TARGET) --target-dir $(TARGET_DIR) \
	$(addprefix --bench ,$(or $(strip $(BENCHES)),$(error there is no benchmark in benches)))

e2e: ## Run the integration suites against a real etcd and kube-apiserver
	@KUBEBUILDER_ASSETS="$$(tests/e2e-assets/build.sh)" && export KUBEBUILDER_ASSETS && \
	E2E_CLUSTER=real $(CARGO) test --locked $(addprefix --test ,$(E2E_SUITES))
E2E_SUITES ?= control_plane kubernetes_answers_real operations services $(if $(wildcard tests/cluster tests/cluster.rs),cluster)

##@ More checks
.PHONY: fmt-check doc race e2e-assets bench-smoke image-test

fmt-check: ## Fail when the code is not formatted
	$(CARGO) fmt --check

doc: ## Build the API documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# Safe Rust has no data race and `unsafe` is forbidden here, so there is nothing for a race detector to find. What is
# left are races between tasks: the suites run again and again with far more threads than cores, each time in another order.
race: ## Run the tests RACE_ROUNDS times on crowded cores, to shake out races between tasks
	for round in $$(seq $(RACE_ROUNDS)); do echo "round $$round of $(RACE_ROUNDS)"; $(CARGO) test --locked -- --test-threads=32; done
RACE_ROUNDS ?= 5

e2e-assets: ## Find or build etcd, kube-apiserver and kubectl; prints their folder
	@tests/e2e-assets/build.sh

bench-smoke: export BENCH_SMOKE := true
bench-smoke: ## Run the benchmarks at their smallest size, to see that they still work
	$(RUN_BENCHES)

image-test: ## Start the image once and look at what it is
	@$(CONTAINER) test "$(TAGGED_ARCH_IMAGE)" "$(VERSION)"

##@ Images
.PHONY: build-all image-root image image-all push push-all manifest-create manifest-annotate manifest-push manifest-all

build-all: ## Build for linux on each of ARCHES
	@for arch in $(ARCHES); do $(MAKE) --no-print-directory build OS=linux ARCH=$$arch || exit 1; done

image-root: OS := linux
image-root: ## Lay out the file system of the image in dist/image/root
	@[ -r "$(CA_BUNDLE)" ] || { echo "no certificate authorities found: install ca-certificates, or name a file with CA_BUNDLE=" >&2; exit 1; }
	@$(MAKE) --no-print-directory build OS=linux ARCH=$(ARCH)
	@rm -rf $(IMAGE_ROOT)
	@install -D -m 0644 "$(CA_BUNDLE)" $(IMAGE_ROOT)/etc/ssl/certs/ca-certificates.crt
	@install -D -m 0755 $(DIST)/bin/$(BINARY)-linux-$(ARCH) $(IMAGE_ROOT)/$(BINARY)

image: image-root ## Build the image BUILD_IMAGE:BUILD_TAG-ARCH, and BUILD_IMAGE:BUILD_TAG for this machine's ARCH
	@$(CONTAINER) image linux/$(ARCH) $(IMAGE_ROOT) "$(TAGGED_ARCH_IMAGE)" $(if $(filter $(HOST_ARCH),$(ARCH)),"$(IMAGE)")

image-all: ## Build the images of all ARCHES
	@for arch in $(ARCHES); do $(MAKE) --no-print-directory image ARCH=$$arch || exit 1; done

push: ## Push the image of ARCH
	@$(CONTAINER) push "$(TAGGED_ARCH_IMAGE)"

push-all: ## Push the images of all ARCHES
	@for arch in $(ARCHES); do $(MAKE) --no-print-directory push ARCH=$$arch || exit 1; done

manifest-create: ## Join the images of all ARCHES under BUILD_IMAGE:BUILD_TAG
	@$(CONTAINER) manifest-create "$(IMAGE)" $(foreach arch,$(ARCHES),"$(IMAGE)-$(arch)")

manifest-annotate: ## Say in the joined image which part is for which architecture
	@$(CONTAINER) manifest-annotate "$(IMAGE)" $(ARCHES)

manifest-push: ## Push the joined image
	@$(CONTAINER) manifest-push "$(IMAGE)"

manifest-all: manifest-create manifest-annotate manifest-push ## Join, annotate and push

##@ Continuous integration and releases
.PHONY: ci cd release publish

ci: ## What .ci/run runs once the tools are there: every check, build and test, the image
	@.ci/steps fmt-check lint doc test examples e2e build image image-test $(if $(strip $(BENCHES)),bench-smoke)

cd: ## Publish BRANCH_NAME and the commit's hash as tags; needs CONFIRM=true
	@DRY_RUN="$(DRY_RUN)" .ci/guard cd "$(CONFIRM)" BRANCH_NAME "$(BRANCH_NAME)"
	@$(MAKE) --no-print-directory publish TAGS="$(subst /,-,$(BRANCH_NAME)) $(GIT_HASH)"

release: ## Publish RELEASE_TAG, which HEAD must carry, and write dist/release; needs CONFIRM=true
	@DRY_RUN="$(DRY_RUN)" .ci/guard release "$(CONFIRM)" RELEASE_TAG "$(RELEASE_TAG)"
	@$(MAKE) --no-print-directory publish VERSION="$(RELEASE_TAG)" TAGS="$(RELEASE_TAG) $(if $(findstring -,$(RELEASE_TAG)),,latest)"
	@mkdir -p $(DIST)/release
	@sed 's|RELEASE_IMG|$(BUILD_IMAGE):$(RELEASE_TAG)|' deploy/template/deployment.yaml > $(DIST)/release/deployment.yaml
	@echo "wrote $(DIST)/release/deployment.yaml"

publish:
	@set -- $(TAGS); \
	$(if $(DRY_RUN),echo "would run: make image-all BUILD_TAG=$$1 VERSION=$(VERSION)",$(MAKE) --no-print-directory image-all BUILD_TAG=$$1); \
	for tag; do \
		for arch in $(ARCHES); do \
			[ "$$tag" = "$$1" ] || $(CONTAINER) tag "$(BUILD_IMAGE):$$1-$$arch" "$(BUILD_IMAGE):$$tag-$$arch" || exit 1; \
		done; \
		$(MAKE) --no-print-directory push-all manifest-all BUILD_TAG=$$tag || exit 1; \
	done

##@ This machine and your cluster
.PHONY: version tag install clean deploy undeploy ccm check-target

version: ## Print the version
	@echo $(VERSION)

tag: ## Print the short hash of the commit
	@echo $(GIT_HASH)

PREFIX ?= /usr/local
install: build ## Install the program under DESTDIR and PREFIX
	@mkdir -p $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/$(BINARY)

clean: ## Remove dist and the local images (cargo clean removes the rest)
	rm -rf $(DIST)
	@$(CONTAINER) remove "$(IMAGE)" $(foreach arch,$(ARCHES),"$(IMAGE)-$(arch)")

deploy: ## Apply deploy/template with IMAGE to the current kubectl context
	@kubectl --namespace kube-system get secret metal-cloud-config >/dev/null || \
		{ echo "write your key and project into a copy of deploy/template/secret.yaml and apply it first" >&2; exit 1; }
	sed 's|RELEASE_IMG|$(IMAGE)|' deploy/template/deployment.yaml | $(if $(DRY_RUN),cat,kubectl apply --filename=-)

undeploy: ## Delete what deploy applied; the secret stays
	sed 's|RELEASE_IMG|$(IMAGE)|' deploy/template/deployment.yaml | $(if $(DRY_RUN),cat,kubectl delete --ignore-not-found --filename=-)

ccm: image push deploy ## Build, push and deploy

check-target:
	@fail() { printf 'cannot build for OS=$(OS) ARCH=$(ARCH): %s\n' "$$@" >&2; exit 1; }; \
	[ -n "$(TARGET)" ] || fail "known are linux and darwin, each with amd64 and arm64"; \
	command -v $(firstword $(CARGO)) >/dev/null || fail "cargo is not installed (https://rustup.rs, or your distribution's Rust 1.95 or later)"; \
	[ -d "$$(rustc --print target-libdir --target $(TARGET))" ] || \
		fail "this Rust has no standard library for $(TARGET); run: rustup target add $(TARGET)$(if $(filter linux,$(OS)), (or use DOCKERBUILD=true))"; \
	[ -z "$(CROSS_CC)" ] || command -v "$(CROSS_CC)" >/dev/null || \
		fail "no C cross-compiler $(CROSS_CC); on Debian run: apt-get install gcc-$(subst _,-,$(CROSS_GNU_$(ARCH))) (or use DOCKERBUILD=true)"; \
	[ -n "$(CROSS_CC)" ] || command -v cc >/dev/null || fail "no C compiler; on Debian run: apt-get install build-essential"
