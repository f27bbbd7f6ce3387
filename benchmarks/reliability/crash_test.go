package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, enrollForever(path, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// small returns the material of the checks.
func small(t *testing.T) material {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the tool and trains")
	}
	folder, likeness, remove, err := temporary(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	m, err := newMaterial(context.Background(), likeness, folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
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
		if _, err := m.fillDisks(t.Context(), 4, random.New(1), t.Logf); err != nil {
			t.Error(err)
		}
	})
}
