package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// access decides who may ask. With a token that is whoever has it. Without one it
// is this machine, as far as HTTP can tell: a page of another origin that a browser
// shows must not get through, by neither of the two ways that it has.
//
// It may send requests to http://127.0.0.1, whose answers it cannot read but which
// would enrol: a browser says the page's origin in Origin, which is not the
// server's. Or its own name may be made to mean 127.0.0.1 (DNS rebinding), which
// makes the server of its origin: but then that name is in Host.
type access struct {
	token [sha256.Size]byte // its SHA-256, if has
	has   bool
	hosts map[string]bool
}

func newAccess(token string, hosts []string) access {
	a := access{token: sha256.Sum256([]byte(token)), has: token != "", hosts: map[string]bool{}}
	for _, host := range hosts {
		a.hosts[strings.ToLower(host)] = true
	}
	return a
}

// check says why a request may not be answered; open ones need no token.
func (a access) check(r *http.Request, open bool) error {
	if !a.has {
		return a.checkOrigin(r)
	}
	if open {
		return nil
	}
	scheme, found, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || found == "" {
		return refuse(http.StatusUnauthorized, "Authorization: found no token, expected Bearer and the server's token")
	}
	// Sums have one length, so that the time tells nothing of the token's either.
	sum := sha256.Sum256([]byte(strings.TrimSpace(found)))
	if subtle.ConstantTimeCompare(sum[:], a.token[:]) != 1 {
		return refuse(http.StatusUnauthorized, "Authorization: found another token than the server's")
	}
	return nil
}

// checkOrigin says whether a request came by a known name and from no other
// origin.
func (a access) checkOrigin(r *http.Request) error {
	if name := hostName(r.Host); !isLoopback(name) && !a.hosts[name] {
		return refuse(http.StatusForbidden, "Host: found %q, expected a name of the loopback interface such as 127.0.0.1 or localhost: from elsewhere a token is needed", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		from, err := url.Parse(origin)
		if err != nil || from.Host == "" || !strings.EqualFold(from.Host, r.Host) {
			return refuse(http.StatusForbidden, "Origin: found %q, expected that of the server's own page", origin)
		}
	}
	return nil
}

// hostName is a host in small letters without its port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// isLoopback says whether a name means this machine and nothing else: an address
// of the loopback interface, or localhost, which no resolver of a browser asks
// others about (RFC 6761, section 6.3).
func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}
