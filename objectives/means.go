package objectives

// means are the distances from the means of classes, as they follow from
// distances (batch, batch) that are squared distances of vectors, or a multiple
// of these. The diagonal is taken for zero.
type means struct {
	distances []float64
	class     []int   // of each image, from 0 in the order of first images
	members   [][]int // images of each class
}

func newMeans(distances, labels []float64) means {
	m := means{distances: distances}
	known := map[float64]int{}
	for i, label := range labels {
		class, found := known[label]
		if !found {
			class = len(m.members)
			known[label] = class
			m.members = append(m.members, nil)
		}
		m.class = append(m.class, class)
		m.members[class] = append(m.members[class], i)
	}
	return m
}

func (m means) distance(i, j int) float64 { return m.distances[i*len(m.class)+j] }

// from is the distance of image i from the mean of a class, without i itself.
func (m means) from(i, class int) (d float64) {
	size := m.size(i, class)
	for _, s := range m.members[class] {
		if s == i {
			continue
		}
		d += m.distance(i, s) / size
		for _, t := range m.members[class] {
			if t != i && t != s {
				d -= m.distance(s, t) / (2 * size * size)
			}
		}
	}
	return d
}

// add adds factor times the derivative of from(i, class) to slopes (batch,
// batch).
func (m means) add(slopes []float64, i, class int, factor float64) {
	size, batch := m.size(i, class), len(m.class)
	for _, s := range m.members[class] {
		if s == i {
			continue
		}
		slopes[i*batch+s] += factor / size
		for _, t := range m.members[class] {
			if t != i && t != s {
				slopes[s*batch+t] -= factor / (2 * size * size)
			}
		}
	}
}

// size is the number of images of the class, without i.
func (m means) size(i, class int) float64 {
	if m.class[i] == class {
		return float64(len(m.members[class]) - 1)
	}
	return float64(len(m.members[class]))
}
