.PHONY: check test long bench postgres mpi race race-all vulnerabilities regression fuzz arm64 instructions generate

# The version of staticcheck that the checks were last clean with.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

test:
	go test ./...

# Tests that `go test ./...` leaves out because they take minutes. Two more have commands
# of their own: the gradients of Koch's whole network, LIKENESS_LONG=1 go test
# ./benchmarks/gradients, and hundreds of kills, LIKENESS_LONG=1 go test -run Killed
# ./cmd/likeness ./gallery.
long:
	LIKENESS_LONG=1 go test -timeout 20m ./backbone ./run ./trainer ./evaluate ./benchmarks/reliability ./benchmarks/reproduce ./cmd/verification

check:
	test -z "$$(gofmt -l .)" || (gofmt -l . && false)
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod verify
	go -C internal/vector/generate vet ./...
	go -C internal/vector/generate test ./...

# What runs in several goroutines; -short leaves out what shows nothing of them.
# Packages of graph run one at a time: the threads of two test programs at once wait
# for each other's processors, which takes several times as long under the detector.
race:
	go test -race -short -timeout 20m -p 1 ./graph/... ./internal/parallel
	go test -race -short -timeout 20m . ./trainer ./datasets ./imaging ./evaluate ./solver ./fetch ./retrieval/... ./gallery/... ./serve

# The same of everything, package by package, which takes long.
race-all:
	go test -race -short -p 1 -timeout 60m ./...

# The tests of galleries with PostgreSQL, that of LIKENESS_POSTGRES=URI or one of its own.
postgres:
	.ci/postgres

# Training on several processes, with a real MPI library: needs cgo, Open MPI's mpirun and its headers
# (Debian's openmpi-bin and libopenmpi-dev). Without mpirun the tests are skipped and say so.
mpi:
	LIKENESS_MPI=1 go test -count=1 -v -run MPI ./collective ./cmd/likeness

# What is known of the dependencies, if the database can be asked.
vulnerabilities:
	.ci/vulnerabilities

# Layers, heads and objectives, their gradients among the tests, in other
# instructions than the best ones. Where the processor lacks some, others are
# used, which a line on standard error says. The last line's variables are read too early
# for the test cache to know of them.
instructions:
	LIKENESS_INSTRUCTIONS=avx2 go test ./graph/... ./heads ./objectives ./solver ./gallery/index
	LIKENESS_INSTRUCTIONS=portable go test ./graph/... ./heads ./objectives ./solver ./gallery/index
	LIKENESS_WINOGRAD=off LIKENESS_FOURIER=off go test -count=1 ./graph/...

# The assembly for arm64, emulated, and the kernels on a processor that has none.
arm64:
	GOARCH=arm64 go vet ./internal/vector
	GOARCH=arm64 go test -exec qemu-aarch64-static ./internal/vector ./graph/internal/kernel
	GOARCH=riscv64 go build ./internal/vector ./graph/internal/kernel

# A training of seconds, whose figures must lie in the bands of stability.json.
regression:
	go run ./benchmarks/reliability -out '' regression

bench:
	go test -run '^$$' -bench . ./graph/... ./benchmarks/...

# Ten seconds of each fuzz target.
fuzz:
	go run ./benchmarks/reliability -out= fuzz -executions 0 -turn 10s

generate:
	go -C internal/vector/generate run . ..
