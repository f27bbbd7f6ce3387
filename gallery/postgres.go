package gallery

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/likeness-go/likeness/internal/wording"
	pgvector "github.com/pgvector/pgvector-go/pgx"
	"github.com/pkg/errors"
)

// isDatabase reports whether the path of a gallery is a PostgreSQL URI.
func isDatabase(path string) bool {
	scheme, _, found := strings.Cut(path, "://")
	return found && (scheme == "postgres" || scheme == "postgresql")
}

// location is where a gallery is in PostgreSQL and how it is searched, from its URI.
type location struct {
	address string // for pgx, with the password
	shown   string // without passwords
	schema  string // of the gallery's tables

	exact     bool   // do not search the index
	breadth   int    // hnsw.ef_search
	iterative string // hnsw.iterative_scan
	half      bool   // index halfvec even where vector can be indexed
	links     int    // m of the index
	width     int    // ef_construction of the index
}

const (
	defaultSchema    = "likeness"
	defaultBreadth   = 200
	defaultIterative = "strict_order"
	// maxScanTuples limits an iterative scan; it is pgvector's default.
	maxScanTuples = 20000
)

// parseLocation parses the URI of a gallery. Its errors have no part of the URI that may
// be a password.
func parseLocation(path string) (l location, err error) {
	u, err := url.Parse(path)
	if err != nil { // whose text has the URI
		return l, errors.New("not a URI, expected postgres://USER@HOST:PORT/DATABASE?schema=NAME with special characters escaped, such as %40 for @")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return l, errors.New("the URI has parameters that are not escaped, expected NAME=VALUE&NAME=VALUE with special characters escaped, such as %40 for @")
	}
	l = location{schema: defaultSchema, breadth: defaultBreadth, iterative: defaultIterative, links: 16, width: 64}
	take := func(name string) (string, bool) {
		values, found := query[name]
		query.Del(name)
		if len(values) > 1 && err == nil {
			err = errors.Errorf("parameter %s: found %d values, expected one", name, len(values))
		}
		return strings.Join(values, ","), found && err == nil
	}
	choice := func(name string, allowed ...string) string {
		value, found := take(name)
		if !found {
			return ""
		}
		for _, a := range allowed {
			if a == value {
				return value
			}
		}
		err = errors.WithMessage(wording.Unknown("value", value, allowed), "parameter "+name)
		return ""
	}
	number := func(name string, value *int, least, most int) {
		text, found := take(name)
		if !found {
			return
		}
		n, failed := strconv.Atoi(text)
		if failed != nil || n < least || n > most {
			err = errors.Errorf("parameter %s: found %q, expected a number from %d to %d", name, text, least, most)
			return
		}
		*value = n
	}
	if name, found := take("schema"); found {
		l.schema = name
	}
	l.exact = choice("search", "index", "exact") == "exact"
	l.half = choice("index_type", "vector", "halfvec") == "halfvec"
	if value := choice("iterative_scan", "off", "relaxed_order", "strict_order"); value != "" {
		l.iterative = value
	}
	number("ef_search", &l.breadth, 1, 1000)
	number("m", &l.links, 2, 100)
	number("ef_construction", &l.width, 4, 1000)
	switch {
	case err != nil:
		return l, err
	case l.schema == "" || len(l.schema) > 63 || strings.ContainsRune(l.schema, 0) || strings.HasPrefix(l.schema, "pg_"):
		return l, errors.Errorf("parameter schema: found %q, expected a name of 1 to 63 bytes that does not begin with pg_", l.schema)
	case l.width < 2*l.links:
		return l, errors.Errorf("parameter ef_construction: found %d, expected at least twice m, %d", l.width, 2*l.links)
	}
	u.RawQuery = query.Encode()
	l.address = u.String()
	l.shown = shown(path)
	return l, nil
}

// secret are the parameters of a URI that are passwords.
var secret = []string{"password", "sslpassword"}

const hidden = "xxxxx"

// shown returns the path of a gallery without the passwords that a URI may have.
func shown(path string) string {
	if !isDatabase(path) {
		return path
	}
	scheme, rest, _ := strings.Cut(path, "://")
	rest, parameters, asked := strings.Cut(rest, "?")
	authority, name, slash := strings.Cut(rest, "/")
	// A password with an unescaped / or @ ends at the last @.
	if at := strings.LastIndex(rest, "@"); at >= len(authority) {
		authority, name, slash = rest, "", false
		if end := strings.Index(rest[at:], "/"); end >= 0 {
			authority, name, slash = rest[:at+end], rest[at+end+1:], true
		}
	}
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		if user, password, found := strings.Cut(authority[:at], ":"); found && password != "" {
			authority = user + ":" + hidden + authority[at:]
		}
	}
	text := scheme + "://" + authority
	if slash {
		text += "/" + name
	}
	if !asked {
		return text
	}
	parts := strings.Split(parameters, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		for _, s := range secret {
			if strings.EqualFold(name, s) {
				parts[i] = s + "=" + hidden
			}
		}
	}
	if at := strings.LastIndex(parameters, "@"); at >= 0 && !strings.Contains(authority, "@") {
		return scheme + "://" + hidden + parameters[at:] // a password with an unescaped question mark
	}
	return text + "?" + strings.Join(parts, "&")
}

var uri = regexp.MustCompile(`postgres(ql)?://[^\s"'` + "`" + `]+`)

// HidePasswords returns a text, such as an error, with the passwords of PostgreSQL URIs in
// it replaced by xxxxx.
func HidePasswords(text string) string {
	return uri.ReplaceAllStringFunc(text, shown)
}

// key is the key of an advisory lock for a purpose.
func (l location) key(purpose string) int64 {
	sum := fnv.New64a()
	_, _ = io.WriteString(sum, "likeness gallery "+purpose+" "+l.schema) // cannot fail
	return int64(sum.Sum64())
}

// keys of advisory locks: making is held exclusively while the tables are created, migrated
// or removed, and in use is shared by all connections of opened galleries.
const (
	making = "making"
	inUse  = "in use"
)

// config returns the configuration of connections.
func (l location) config(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(l.address)
	if err != nil {
		return nil, errors.Errorf("the URI is not one of PostgreSQL: %s", reasonOf(err, l))
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	settings := map[string]string{
		// The best plan depends on the number of wanted rows, which is a parameter.
		"plan_cache_mode": "force_custom_plan",
		// Compilation takes longer than it saves here.
		"jit":                 "off",
		"hnsw.ef_search":      strconv.Itoa(l.breadth),
		"hnsw.iterative_scan": l.iterative,
		// Limits the work where an index gives too few classes.
		"hnsw.max_scan_tuples": strconv.Itoa(maxScanTuples),
	}
	if o.ReadOnly {
		settings["default_transaction_read_only"] = "on"
	}
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "likeness"
	}
	config.AfterConnect = l.prepare
	return config, nil
}

// reasonOf returns the text of an error of parsing unless it may have a password.
func reasonOf(err error, l location) string {
	parsed := new(pgconn.ParseConfigError)
	if errors.As(err, &parsed) {
		if inner := errors.Unwrap(parsed); inner != nil {
			err = inner
		}
	}
	text := err.Error()
	if u, failed := url.Parse(l.address); failed == nil {
		if password, has := u.User.Password(); has && password != "" && strings.Contains(text, password) {
			return "it cannot be parsed"
		}
		for _, name := range secret {
			if value := u.Query().Get(name); value != "" && strings.Contains(text, value) {
				return "it cannot be parsed"
			}
		}
	}
	return text
}

// prepare prepares a new connection: the schema of the extension and the gallery, durable
// commits, the types of pgvector, and the lock that keeps others from removing the gallery.
func (l location) prepare(ctx context.Context, conn *pgx.Conn) error {
	var extension string
	err := conn.QueryRow(ctx, `SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'`).Scan(&extension)
	if errors.Is(err, pgx.ErrNoRows) {
		return errNoExtension
	}
	if err != nil {
		return err
	}
	path := pgx.Identifier{l.schema}.Sanitize() + ", " + pgx.Identifier{extension}.Sanitize()
	_, err = conn.Exec(ctx, `SELECT set_config('search_path', $1, false),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
		pg_advisory_lock_shared($2)`, path, l.key(inUse))
	if err != nil {
		return err
	}
	return registerTypes(ctx, conn)
}

var registerTypes = pgvector.RegisterTypes

var errNoExtension = errors.New("the database does not have the extension vector (pgvector)")

// patience is how long a request without a deadline waits for a database that cannot be
// reached.
const patience = 5 * time.Second

// Times between two attempts to reach a database.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// retry calls do until it does not fail because a connection was lost or could not be made,
// or because of another transaction. It gives up at the deadline of the context or, if that
// has none, after the given time, 0 for a default.
func retry(ctx context.Context, limit time.Duration, do func(ctx context.Context) error) error {
	if limit == 0 {
		limit = patience
	}
	deadline, has := ctx.Deadline()
	if !has {
		deadline = time.Now().Add(limit)
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case !transient(err) && ctx.Err() != nil:
			return errors.WithStack(context.Cause(ctx))
		case !transient(err):
			return err
		case errors.Is(ctx.Err(), context.Canceled):
			return errors.WithStack(context.Cause(ctx))
		case time.Until(deadline) < pause:
			return errors.Wrap(ErrUnavailable, err.Error())
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// transient reports whether an error may not occur again: the connection was lost or refused,
// the server restarts or has too many connections, or transactions were in conflict.
func transient(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "57P01", "57P02", "57P03", // the server is shut down, has crashed, or starts
			"53300",          // too many connections
			"40001", "40P01": // conflicts of transactions
			return true
		}
		return strings.HasPrefix(server.Code, "08") // connection exceptions
	}
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errNoExtension):
		return false
	case errors.As(err, &connect): // also if the time is up
		return true
	case errors.Is(err, context.DeadlineExceeded): // which is a net.Error
		return false
	case errors.As(err, &network):
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errLost) || pgconn.SafeToRetry(err)
}

// errLost marks errors after which the connection is closed.
var errLost = errors.New("the connection was lost")

// clear returns an error with a hint for what a user can change.
func (l location) clear(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		if errors.Is(err, errNoExtension) {
			return errors.WithMessage(err, "install pgvector 0.8 or newer, and let a user that may do so execute CREATE EXTENSION vector")
		}
		return err
	}
	switch {
	case server.Code == "42P01", server.Code == "3F000": // undefined table or schema
		return errors.WithMessagef(err, "the tables of the gallery in the schema %q were removed by another program", l.schema)
	case server.Code == "22003" && strings.Contains(server.Message, "halfvec"):
		return errors.WithMessage(err, "an embedding has a value beyond 65504, which the gallery's index of half precision cannot hold: drop the index")
	case server.Code == "25006":
		return fmt.Errorf("%w: the database accepts no changes: %v", ErrReadOnly, err)
	}
	return err
}
