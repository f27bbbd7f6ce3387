// Package serve gives a model and a gallery to whoever speaks HTTP: programs in
// any language, and people by a web page.
//
// There are few nouns. A Server is an http.Handler that embeds, compares, enrols
// and identifies; Options bound what it takes, and their zero value is useful. Its
// queue gathers the images of requests that come at the same time into batches,
// which a network embeds faster than one after the other.
//
//	server, err := serve.New(model, serve.Options{Gallery: faces})
//	defer server.Close()
//	http.Handle("/", server)                // in a program of your own, or
//	err = server.Serve(ctx, listener)       // by itself, until the context ends
//
// The routes, their fields and their answers are described by /openapi.json, which
// the server itself gives.
//
// # Who may ask
//
// With Options.Token every request must carry it, but for the page's files, the
// description and /healthz. Without one the server answers only to names of the
// loopback interface and of Options.Hosts, and to pages of its own origin: another
// web site that a user visits can neither read from it nor enrol (see access.go).
// Serve refuses to listen beyond loopback without a token.
//
// No request names a file: images come in bodies, and the sources of examples do
// not go out. What a request may cost is bounded before it is paid, its bytes and
// its images before they are read and the pixels of all its images before any is
// decoded. Its work ends when its client leaves, and after RequestTimeout with 503,
// while there is still time to send that; the log says what was sent. When the
// queue is full the answer is 503 at once; a request whose client has gone leaves
// the queue. A client that sends or reads slowly takes no place of others, and no
// longer than ReadTimeout and WriteTimeout say.
package serve
