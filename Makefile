# make demo, make test: all that is needed on a fresh machine. The rest is in docs/building.md.

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help lib install demo test stress kernels lint bench deps deps-demo clean

help:
	@echo "make demo    build everything and run the demo"
	@echo "make test    every test in Rust, C and Go; the last line counts them"
	@echo "make stress  the same with the long versions of the tests"
	@echo "make kernels a part of them on the oldest and the newest kernel, emulated"
	@echo "make lint    rustfmt, clippy, gofmt, go vet, golangci-lint"
	@echo "make bench   the measurements, side by side in one run"
	@echo "make lib     build/libnsgate.a, build/libnsgate.so, build/nsgate.h, and the Go module's copy"
	@echo "make install to PREFIX=/usr/local, with nsgate.pc; also LIBDIR= and DESTDIR="
	@echo "make deps    install the Debian packages that are lacking, or name the command"
	@echo "make clean   remove what was built"

lib: deps-demo
	@scripts/build-lib

install: lib
	@scripts/install

demo: lib
	@cd examples/go && CGO_ENABLED=1 go build -o ../../build/orchestrator ./orchestrator
	@tests/in-namespace build/orchestrator

test: deps lib
	@tests/run

stress: deps lib
	@NSGATE_LONG=1 tests/run

kernels:
	@tests/kernels/run

lint: lib
	@scripts/lint

bench: lib
	@benches/run

deps:
	@scripts/deps test

deps-demo:
	@scripts/deps demo

clean:
	cargo clean
	rm -rf build go/internal/capi/libnsgate.a go/internal/capi/archive.h
