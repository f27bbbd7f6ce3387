package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestExecutionsOfLastReport(t *testing.T) {
	const text = `fuzz: elapsed: 0s, gathering baseline coverage: 0/24 completed
fuzz: elapsed: 0s, gathering baseline coverage: 24/24 completed, now fuzzing with 1 workers
fuzz: elapsed: 3s, execs: 5678 (1892/sec), new interesting: 1 (total: 25)
fuzz: elapsed: 10s, execs: 2345678 (77777/sec), new interesting: 2 (total: 26)
PASS
`
	if found, err := executions(text); err != nil || found != 2345678 {
		t.Errorf("found %d (%v), expected 2345678", found, err)
	}
	if _, err := executions("PASS\n"); err == nil {
		t.Error("no report: found no error")
	}
}

func TestEnded(t *testing.T) {
	const late = "fuzz: elapsed: 20s, execs: 243662 (17387/sec), new interesting: 4 (total: 53)\n--- FAIL: FuzzUnpack (20.10s)\n    context deadline exceeded\nFAIL\n"
	if !ended(late) {
		t.Error("the end of a turn counts as a failure")
	}
	for _, text := range []string{
		"--- FAIL: FuzzFile (10.91s)\n    --- FAIL: FuzzFile (0.00s)\n        fuzz_test.go:90: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzFile/39f6\nFAIL\n",
		"--- FAIL: FuzzFile (10.91s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\nFAIL\n",
	} {
		if ended(text) {
			t.Errorf("a failure counts as the end of a turn: %s", text)
		}
	}
}

func TestFuzzNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some_test.go")
	text := "package some\nfunc FuzzOne(f *testing.F) {}\nfunc (t T) FuzzMethod() {}\nfunc fuzzed() {}\nfunc FuzzTwo(f *testing.F) {}\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	found, err := fuzzNames(file)
	if err != nil || !slices.Equal(found, []string{"FuzzOne", "FuzzTwo"}) {
		t.Errorf("found %q (%v)", found, err)
	}
}

func TestFasterHalf(t *testing.T) {
	targets := []*fuzzTarget{
		{pkg: "m/slow", name: "FuzzA", first: 1, executions: 900}, {pkg: "m/fast", name: "FuzzC", first: 500},
		{pkg: "m/fast", name: "FuzzB", first: 400}, {pkg: "m/slow", name: "FuzzD", first: 2},
	}
	var found []string
	for _, target := range fasterHalf(targets) {
		found = append(found, target.title())
	}
	if !slices.Equal(found, []string{"fast.FuzzB", "fast.FuzzC"}) {
		t.Errorf("found %q", found)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345078: "12,345,078"} {
		if found := thousands(n); found != want {
			t.Errorf("%d: found %s, expected %s", n, found, want)
		}
	}
}
