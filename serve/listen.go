package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/pkg/errors"
)

// ErrNoToken says that a server without a token was to listen beyond loopback.
var ErrNoToken = errors.New("beyond the loopback interface a token is needed")

// headerTimeout is how long a client may take for a request's header, and
// maxHeaderBytes how long that may be.
const (
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// Serve answers requests until the context ends. Then it accepts no more, finishes
// those that it has within Options.ShutdownTimeout, and closes the server and the
// listener. It returns nil when all were finished.
//
// The error is ErrNoToken, wrapped, where the listener is not of the loopback
// interface and the server has no token.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if ctx == nil || listener == nil {
		return errors.New("serve: found no context or no listener, expected both")
	}
	if s == nil || s.handler == nil {
		_ = listener.Close()
		return errors.New("serve: the server was not made by serve.New")
	}
	defer s.Close()
	if !s.access.has && !onLoopback(listener.Addr()) {
		_ = listener.Close()
		return errors.Wrapf(ErrNoToken, "serve at %v", listener.Addr())
	}
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: min(headerTimeout, s.options.ReadTimeout), MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: min(s.options.ReadTimeout, s.options.RequestTimeout), WriteTimeout: s.options.WriteTimeout, IdleTimeout: s.options.IdleTimeout,
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errors.Wrap(err, "serve")
	case <-ctx.Done():
		s.closing.Store(true)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.ShutdownTimeout)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		_ = server.Close() // those that are not done are cut off
	}
	<-failed
	return errors.Wrapf(err, "serve: requests were not done within %v", s.options.ShutdownTimeout)
}

// onLoopback says whether nobody but this machine reaches an address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
