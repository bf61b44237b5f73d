# The work is done by the scripts of hack/; each says with --help what it does and which variables it reads.
.DEFAULT_GOAL := help
.PHONY: help up down api test test-full bench figures fmt lint gen clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## from a bare machine to a running platform on a local cluster, at http://localhost:8080
	@hack/up

down: ## remove what `make up` made, the data included
	@hack/down

api: ## run the API on a PostgreSQL and a Redis of its own, installing and building what is missing
	@hack/api

test: ## everything that CI runs
	@hack/test

test-full: ## the same with every sweep and second build; writes docs/test-full.md
	@hack/test --full

bench: ## measure the API beside its ceilings; SMOKE=1 takes a minute and measures nothing
	@hack/bench

figures: ## measure the operator on a cluster of its own, and print the table
	@hack/figures

fmt: ## format the code
	@cargo fmt --all

lint: ## the checks of `make test` that start no server: format, shellcheck, Python, clippy, docs
	@hack/test format shell python clippy docs

gen: ## write anew the files made from the code: CRD, OpenAPI document and dashboard
	@hack/gen

clean: ## delete what was built, and the data of `make api`
	@hack/clean
