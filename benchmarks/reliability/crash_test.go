package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, enrollForever(path, os.Stdout))
		os.Exit(1)
	}
	code := m.Run()
	if built.remove != nil {
		built.remove()
	}
	os.Exit(code)
}

// built is the material of all tests; build creates it once.
var built struct {
	material
	remove func()
}

var build = sync.OnceValue(func() (err error) {
	var folder string
	var likeness tool
	if folder, likeness, built.remove, err = temporary(context.Background()); err != nil {
		return err
	}
	built.material, err = newMaterial(context.Background(), likeness, folder)
	built.changes = 2 // the fuzz tests of package imaging try many more
	built.sample = !testutil.Long()
	built.model = built.material.whole // which is loaded in a fraction of the time
	return err
})

// small returns the material of the checks.
func small(t *testing.T) material {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the command and trains")
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return built.material
}

// The check with few kills and disks.
func TestCrash(t *testing.T) {
	m := small(t)
	t.Run("trainings", func(t *testing.T) {
		if _, err := m.killTrainings(t.Context(), 2, random.New(1), t.Logf); err != nil {
			t.Error(err)
		}
	})
	t.Run("enrollments", func(t *testing.T) {
		if _, err := killEnrollments(t.Context(), m.folder, 4, random.New(1), t.Logf); err != nil {
			t.Error(err)
		}
	})
	t.Run("disks", func(t *testing.T) {
		if err := disksWork(t.Context()); err != nil {
			t.Skip(err)
		}
		disks := 1
		if testutil.Long() {
			disks = 4
		}
		if _, err := m.fillDisks(t.Context(), disks, random.New(1), t.Logf); err != nil {
			t.Error(err)
		}
	})
}
