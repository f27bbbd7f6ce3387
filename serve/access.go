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

// access decides which requests are allowed. With a token it is those that carry it.
// Without a token it is those of this machine. A page of another web site that a
// browser on this machine shows must not have access, for which it has two ways:
//
//   - It sends requests to http://127.0.0.1. It cannot read the answers, but such a
//     request could enroll an image. The browser sends the site's origin in the header
//     Origin, which differs from the server's.
//   - It lets its own domain name resolve to 127.0.0.1 (DNS rebinding), so that the
//     browser takes the server for the same origin. The header Host then has that name.
type access struct {
	token [sha256.Size]byte // SHA-256 of the token, if has
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

// check returns an error if a request is not allowed. Open routes need no token.
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
	// Checksums have equal lengths, so that the time does not depend on the token's length either.
	sum := sha256.Sum256([]byte(strings.TrimSpace(found)))
	if subtle.ConstantTimeCompare(sum[:], a.token[:]) != 1 {
		return refuse(http.StatusUnauthorized, "Authorization: found a wrong token")
	}
	return nil
}

// checkOrigin returns an error if a request has an unknown Host or another origin.
func (a access) checkOrigin(r *http.Request) error {
	if name := hostName(r.Host); !isLoopback(name) && !a.hosts[name] {
		return refuse(http.StatusForbidden, "Host: found %q, expected a name of the loopback interface such as 127.0.0.1 or localhost: other hosts require a token", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		from, err := url.Parse(origin)
		if err != nil || from.Host == "" || !strings.EqualFold(from.Host, r.Host) {
			return refuse(http.StatusForbidden, "Origin: found %q, expected the origin of the server's own page", origin)
		}
	}
	return nil
}

// hostName is a host in lower case without its port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// isLoopback reports whether a name always means this machine: an address of the
// loopback interface, or localhost, which browsers do not look up in DNS (RFC 6761,
// section 6.3).
func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}
