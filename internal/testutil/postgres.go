package testutil

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PostgresVariable is the environment variable with the URI of a PostgreSQL database for
// tests. With it the tests of galleries run against the database instead of files.
const PostgresVariable = "LIKENESS_POSTGRES"

// InPostgres reports whether galleries of tests are in PostgreSQL.
func InPostgres() bool { return os.Getenv(PostgresVariable) != "" }

// NeedPostgres skips a test unless there is a database.
func NeedPostgres(t testing.TB) {
	t.Helper()
	if !InPostgres() {
		t.Skipf("skipped: it needs a PostgreSQL database with pgvector in %s; make postgres provides one", PostgresVariable)
	}
}

// NeedFile skips a test of the files of galleries if galleries are in PostgreSQL.
func NeedFile(t testing.TB) {
	t.Helper()
	if InPostgres() {
		t.Skip("skipped: it is a test of the files of galleries, and galleries are in PostgreSQL")
	}
}

// NewGallery returns the path of a new gallery in a folder or, if galleries are in PostgreSQL,
// the URI of one in a schema of its own, which is removed after the test.
func NewGallery(t testing.TB, folder, name string) string {
	t.Helper()
	if !InPostgres() {
		return filepath.Join(folder, name)
	}
	return NewSchema(t)
}

// NewSchema returns the URI of a schema that is removed after the test.
func NewSchema(t testing.TB) string {
	t.Helper()
	path := NewSchemaURI()
	t.Cleanup(func() {
		if err := DropSchema(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// NewSchemaURI returns the URI of a schema that is not there yet; see DropSchema.
func NewSchemaURI() string {
	u, err := url.Parse(os.Getenv(PostgresVariable))
	if err != nil {
		panic(PostgresVariable + " is not a URI")
	}
	query := u.Query()
	query.Set("schema", NewSchemaName())
	u.RawQuery = query.Encode()
	return u.String()
}

// DropSchema removes the schema of a URI of NewSchemaURI.
func DropSchema(path string) error {
	conn, err := pgx.Connect(context.Background(), os.Getenv(PostgresVariable))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+SchemaOf(path)+" CASCADE")
	return err
}

// PostgresExec executes a statement in the database of tests.
func PostgresExec(t testing.TB, sql string, arguments ...any) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), os.Getenv(PostgresVariable))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, arguments...); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// SchemaOf returns the schema of a URI of NewSchema.
func SchemaOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return ""
	}
	return u.Query().Get("schema")
}

// NewSchemaName returns a name that nothing else has.
func NewSchemaName() string { return "test_" + strings.ToLower(rand.Text()[:16]) }
