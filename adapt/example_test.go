package adapt_test

import (
	"context"
	"fmt"
	"log"

	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
)

// Embeddings in which two of eight features are noise. Labels may come from anywhere, and
// Apply adapts further embeddings.
func ExampleFit() {
	known := embedded(20, 8, []float64{4, 4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, 1)
	cosine, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		log.Fatal(err)
	}
	a, err := adapt.Fit(context.Background(), cosine, known, adapt.Options{NoHead: true, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	unseen := embedded(20, 8, []float64{4, 4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, 2)
	adapted, err := a.Apply(unseen.Embeddings)
	if err != nil {
		log.Fatal(err)
	}
	for _, embeddings := range []evaluate.Embeddings{unseen.Embeddings, adapted} {
		found, err := evaluate.Retrieve(cosine, evaluate.Labeled{Embeddings: embeddings, Labels: unseen.Labels})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("MAP@R above 0.2: %t\n", found.MAPAtR.Value > 0.2)
	}
	fmt.Println(a.Chosen.Method, a.Chosen.Gain.Low > 0.1)
	// Output:
	// MAP@R above 0.2: false
	// MAP@R above 0.2: true
	// whitened true
}
