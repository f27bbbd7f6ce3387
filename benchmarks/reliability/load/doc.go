// Package load tests `likeness serve` under load, under overload and at shutdown.
//
// The server runs in a process of its own with an embedded model and a gallery in a
// temporary folder. The clients run in this process, on the same machine, and use the
// loopback interface. Since they share the processors with the server, rates are lower and
// latencies higher than those of a server alone.
package load
