// Package serve serves a model and a gallery over HTTP: an API for programs in any
// language and a web page for people.
//
// Its main types are [Server], an http.Handler that embeds, compares, enrolls and
// identifies images, and [Options], which sets its limits; the zero value of Options
// is useful. The images of concurrent requests are collected in a queue and embedded
// in batches, which is faster than embedding them one by one.
//
//	server, err := serve.New(model, serve.Options{Gallery: faces})
//	defer server.Close()
//	http.Handle("/", server)                // in a program of your own, or
//	err = server.Serve(ctx, listener)       // stand-alone, until the context ends
//
// The routes, their fields and their answers are described by the OpenAPI document
// that the server returns at /openapi.json.
//
// # Access
//
// With Options.Token every request must carry the token, except those for the page's
// files, the OpenAPI document and /healthz. Without a token the server answers only
// requests whose Host is a name of the loopback interface or one of Options.Hosts and
// whose Origin, if any, is the server itself, so that another web site that a user
// visits can neither read from the server nor enroll images (see access.go). Serve
// refuses to listen on other interfaces than loopback without a token.
//
// No request can name a file of the server: images are sent in bodies, and the sources
// of examples are not returned.
//
// # Limits
//
// The size of a body and the number of its images are limited before they are read,
// and the number of pixels of all images before any is decoded. The work of a request
// ends when its client disconnects, and after Options.RequestTimeout with status 503.
// If the queue is full, a request gets 503 immediately. A slow client occupies none of
// the Options.MaxConcurrent slots while it sends its request or reads the answer, and
// Options.ReadTimeout and Options.WriteTimeout limit both.
package serve
