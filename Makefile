# pgfit: benchmark and tuning advisor for PostgreSQL. `make run` and `make test` need Go and make, nothing else.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
BUDGET  ?= 3m

.PHONY: run test test-versions test-long build lint bench bench-disk bench-waits clean

run: build                  ## the main job on a scratch server: measure, advise, leave the files in pgfit-out (exit 5 is a result too)
	.ci/need server
	bin/pgfit run --scratch --budget $(BUDGET) --out pgfit-out || test $$? -eq 5

test:                       ## every test, against real servers
	.ci/need server patch git pgbouncer
	$(GO) test -count=1 -timeout 20m ./...

# where server binaries of every version are kept for tests; as root the servers run as postgres, who has to get there
PG_VERSIONS ?= $(if $(filter 0,$(shell id -u)),/var/cache/pgfit-versions,$(CURDIR)/.cache/pg-versions)

test-versions:              ## what differs between PostgreSQL 13 to 18, against a real server of each
	.ci/need server
	.ci/pg-versions/fetch $(PG_VERSIONS)
	PGFIT_PG_VERSIONS_DIR=$(PG_VERSIONS) $(GO) test -count=1 -timeout 10m -run '^TestEveryVersion' ./...

test-long:                  ## the simulations behind the statistics at full length; exports against Patroni with etcd
	PGFIT_LONG=1 $(GO) test -count=1 -timeout 60m -v -run 'Coverage|Covers|Family|LackOfFit|Simulated' ./advisor/...
	.ci/need server patroni etcd-server python3-etcd
	PGFIT_LONG=1 $(GO) test -count=1 -timeout 10m -run '^TestLong' ./report/export

build:                      ## bin/pgfit
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/pgfit ./cmd/pgfit

lint:                       ## gofmt, vet, staticcheck
	test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench:                      ## the load engine against pgbench, in alternating pairs
	.ci/need server
	PGFIT_BENCH=1 $(GO) test -count=1 -timeout 120m -v -run TestAgainstPgbench ./workload/engine ./workload/load

bench-disk:                 ## the disk measurement against fio and pg_test_fsync, by turns on one file
	.ci/need server fio
	PGFIT_BENCH=1 $(GO) test -count=1 -timeout 30m -run '^TestAgainstOthers$$' -v ./probe/diskbench

bench-waits:                ## the predicted wait for a connection against an open loop at 50, 70 and 85 % of the capacity
	.ci/need server
	PGFIT_BENCH=1 $(GO) test -count=1 -timeout 3h -run '^TestPredictedWaits$$' -v ./cmd/pgfit

clean:                      ## what the targets above left here
	rm -rf bin pgfit-out
