package index

// queue is a binary heap of visits, the nearest or the farthest first.
type queue struct {
	items    []visit
	farthest bool
}

func (q *queue) ahead(i, j int) bool {
	if q.farthest {
		i, j = j, i
	}
	return q.items[i].before(q.items[j])
}

func (q *queue) push(v visit) {
	q.items = append(q.items, v)
	for i := len(q.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.ahead(i, parent) {
			return
		}
		q.items[i], q.items[parent] = q.items[parent], q.items[i]
		i = parent
	}
}

// pop takes the first, which must be there.
func (q *queue) pop() visit {
	first, last := q.items[0], len(q.items)-1
	q.items[0] = q.items[last]
	q.items = q.items[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.ahead(child+1, child) {
			child++
		}
		if !q.ahead(child, i) {
			return first
		}
		q.items[i], q.items[child] = q.items[child], q.items[i]
		i = child
	}
}
