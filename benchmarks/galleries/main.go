// Galleries measures galleries in PostgreSQL beside those in files, and checks what they
// promise. Each part is a section of one record, which keeps the other sections.
//
//	.ci/postgres go run ./benchmarks/galleries -only speed -n 10000     # with a server of its own
//	go run ./benchmarks/galleries -uri postgres://… -only 'fill|speed'
//
// The parts are
//
//   - fill: enrolls in PostgreSQL with eight clients, copies to a file, and builds the index;
//   - speed: searches both, after fill; run it while no other programs run;
//   - kills: kills servers, and processes of PostgreSQL, which must be on this machine and of a
//     user whose processes this one may kill;
//   - servers: three servers on one database.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// setting holds the flags.
type setting struct {
	uri      string // of the database, without a schema
	folder   string // for files of galleries, which fill leaves to speed
	n        int
	features int
	queries  int
	exact    int // number of queries of an exact search in PostgreSQL
	clients  int
	kills    int
	seed     uint64
	duration time.Duration // of part servers
	note     func(format string, arguments ...any)
}

// part is a section of the record.
type part struct {
	name, title string
	run         func(setting, context.Context) (string, error)
}

var parts = []part{
	{"fill", "Enroll and index", setting.fill},
	{"speed", "Search", setting.speed},
	{"kills", "Kills", setting.killsOf},
	{"servers", "Three servers on one database", setting.servers},
}

func main() {
	log.SetFlags(log.Ltime)
	var s setting
	flag.StringVar(&s.uri, "uri", os.Getenv("LIKENESS_POSTGRES"), "`URI` of a database with pgvector, by default that of LIKENESS_POSTGRES")
	flag.StringVar(&s.folder, "folder", filepath.Join(os.TempDir(), "likeness-galleries"), "`folder` for files")
	flag.IntVar(&s.n, "n", 1_000_000, "number of examples of the parts fill and speed")
	flag.IntVar(&s.features, "d", 64, "number of features")
	flag.IntVar(&s.queries, "queries", 1000, "number of queries")
	flag.IntVar(&s.exact, "exact", 40, "number of queries of exact searches in PostgreSQL")
	flag.IntVar(&s.clients, "clients", 8, "number of concurrent clients of the parts fill and speed")
	flag.IntVar(&s.kills, "kills", 50, "number of kills of each kind")
	flag.DurationVar(&s.duration, "duration", 5*time.Minute, "duration of the part servers")
	flag.Uint64Var(&s.seed, "seed", 1, "random seed of the examples")
	only := flag.String("only", "", "`regular expression` of the names of the parts: fill, speed, kills, servers")
	out := flag.String("out", "benchmarks/results/scale-out.md", "`file` of the record")
	flag.Parse()
	s.note = log.Printf
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, *only, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s setting, only, out string) error {
	chosen, err := regexp.Compile(only)
	switch {
	case err != nil:
		return errors.Wrap(err, "-only")
	case s.uri == "":
		return errors.New("-uri: found none, expected the URI of a database, or run .ci/postgres go run ./benchmarks/galleries")
	case s.n < perClass || s.features < 1 || s.queries < 1 || s.exact < 1 || s.exact > s.queries || s.clients < 1 || s.kills < 1 || s.duration <= 0:
		return errors.Errorf("found n %d, d %d, queries %d, exact %d, clients %d, kills %d and duration %v, expected positive numbers, n of at least %d, and exact of at most queries", s.n, s.features, s.queries, s.exact, s.clients, s.kills, s.duration, perClass)
	}
	if err := os.MkdirAll(s.folder, 0o777); err != nil {
		return errors.WithStack(err)
	}
	sections := readSections(out)
	start := time.Now()
	for _, p := range parts {
		if !chosen.MatchString(p.name) {
			continue
		}
		text, err := p.run(s, ctx)
		if err != nil {
			return errors.Wrap(err, p.name)
		}
		fmt.Println(text)
		sections[p.title] = text
	}
	versions, err := s.versions(ctx)
	if err != nil {
		return err
	}
	var result strings.Builder
	for _, p := range parts {
		if text := sections[p.title]; text != "" {
			fmt.Fprintf(&result, "## %s\n\n%s\n\n", p.title, strings.TrimSpace(text))
		}
	}
	return record.Record{
		Title:   "Galleries in PostgreSQL",
		Command: fmt.Sprintf("go run ./benchmarks/galleries -n %d -d %d -queries %d -exact %d -clients %d -kills %d -duration %v -seed %d", s.n, s.features, s.queries, s.exact, s.clients, s.kills, s.duration, s.seed),
		Tools:   versions, Took: time.Since(start), Result: result.String(),
	}.WriteFile(out)
}

// readSections returns the sections of an earlier record by their titles.
func readSections(path string) map[string]string {
	sections := map[string]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return sections
	}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	return sections
}

// versions names PostgreSQL and pgvector.
func (s setting) versions(ctx context.Context) ([]string, error) {
	conn, err := pgx.Connect(ctx, s.uri)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var server, extension string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'), 'none')`).Scan(&server, &extension)
	return []string{"PostgreSQL " + server, "pgvector " + extension}, err
}

// gallery returns the URI of a gallery in a schema of this program, with other parameters.
func (s setting) gallery(schema string, parameters ...string) (string, error) {
	u, err := url.Parse(s.uri)
	if err != nil {
		return "", errors.New("-uri: not a URI")
	}
	query := u.Query()
	query.Set("schema", "likeness_benchmark_"+schema)
	for i := 0; i+1 < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// drop removes a schema of this program.
func (s setting) drop(ctx context.Context, schema string) error {
	conn, err := pgx.Connect(ctx, s.uri)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS likeness_benchmark_"+schema+" CASCADE")
	return err
}

// rowModel embeds an image of one row of gray pixels as their values.
func rowModel(features int) (*likeness.Model, error) {
	size := imaging.Size{Height: 1, Width: features, Channels: 1}
	network := backbone.Network{Name: "row", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	return likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size, StdDev: []float64{1.0 / 255}}, 1)
}
