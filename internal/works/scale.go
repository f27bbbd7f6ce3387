package works

// PairCounts are the batch sizes, in pairs, by which the first work is scaled.
var PairCounts = []int{16, 32, 64, 128, 256, 512}

// ThreadCounts are the numbers of threads by which it is: 1, 2, 4, … and the
// most.
func ThreadCounts(most int) []int {
	var counts []int
	for n := 1; n < most; n *= 2 {
		counts = append(counts, n)
	}
	return append(counts, most)
}
