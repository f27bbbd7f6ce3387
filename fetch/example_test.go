package fetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/likeness-go/likeness/fetch"
)

// A set of another program is downloaded like the published ones.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abc") }))
	defer server.Close()
	folder, err := os.MkdirTemp("", "letters")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	letters := fetch.Set{Name: "letters", Files: []fetch.File{{
		Name: "letters.txt", URLs: []string{server.URL}, Size: 3,
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}}}
	fmt.Println("missing:", letters.Missing(folder))
	if err := (fetch.Client{}).Fetch(context.Background(), letters, folder); err != nil {
		log.Fatal(err)
	}
	fmt.Println("missing:", letters.Missing(folder))
	// Output:
	// missing: [letters.txt]
	// missing: []
}

// The weights of a network are published under a name that has the beginning of their
// checksum.
func ExampleWeights() {
	set, err := fetch.Weights("resnet18")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Files[0].Name, "is for the network", set.Backbone)
	// Output: resnet18-f37072fd.pth is for the network resnet18
}
