.PHONY: check test bench race

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

bench:
	go test -run '^$$' -bench . ./graph/... ./benchmarks/...
