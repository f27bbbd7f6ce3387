// Package load puts a server under load, overloads it and ends it, and says how it
// fared.
//
// The server is the tool's own, `likeness serve`, in a process of its own, with a
// model of the zoo and a gallery in a temporary folder. Its clients ask over the
// loopback interface from this process, which shares the processors with it: rates
// are below and latencies above what a server by itself comes to.
package load
