package load

import (
	"math/rand/v2"
	"testing"
)

func TestMixture(t *testing.T) {
	sum := 0
	for _, k := range mixture {
		sum += k.share
	}
	if sum != 100 {
		t.Errorf("the shares add up to %d, want 100", sum)
	}
	for _, enrolled := range []int{0, 1, mostExamples} {
		c := &client{chance: rand.New(rand.NewPCG(1, 2)), enrolled: enrolled}
		asked := map[string]int{}
		for range 2000 {
			asked[c.next().name]++
		}
		for _, k := range mixture {
			ofClass := k.name == "identify" || k.name == "verify" || k.name == "forget"
			allowed := !(enrolled == 0 && ofClass || enrolled == mostExamples && k.name == "enroll")
			if (asked[k.name] > 0) != allowed {
				t.Errorf("%d enrolled: asked %d times to %s", enrolled, asked[k.name], k.name)
			}
		}
	}
}
