.PHONY: check test bench race arm64

# The version of staticcheck that the checks were last clean with.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

test:
	go test ./...

check:
	test -z "$$(gofmt -l .)" || (gofmt -l . && false)
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod verify

# What runs in several goroutines.
race:
	go test -race . ./graph/... ./trainer ./datasets ./imaging ./evaluate ./solver

# The assembly for arm64, emulated, and the kernels on a processor that has none.
arm64:
	go -C internal/vector/generate test ./...
	GOARCH=arm64 go vet ./internal/vector
	GOARCH=arm64 go test -exec qemu-aarch64-static ./internal/vector ./graph/internal/kernel
	GOARCH=riscv64 go build ./internal/vector ./graph/internal/kernel

bench:
	go test -run '^$$' -bench . ./graph/... ./benchmarks/...
