package gallery

// Class is a class with the number of its examples.
type Class struct {
	Name     string
	Examples int
}

// Classes are the known classes in the alphabetical order of their names.
func (g *Gallery) Classes() []Class {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	var classes []Class
	for _, name := range g.contents.names() {
		classes = append(classes, Class{name, g.contents.classes[g.contents.numbers[name]].examples})
	}
	return classes
}

// Len is the number of examples of all classes.
func (g *Gallery) Len() int {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.contents.vectors.Len()
}

// Examples are those of a class, in the order in which they were enrolled. The
// error is ErrUnknownClass, wrapped.
func (g *Gallery) Examples(class string) ([]Example, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	number, err := g.contents.number(class)
	if err != nil {
		return nil, g.wrap(err, "examples")
	}
	var examples []Example
	for row, of := range g.contents.classOf {
		if of == number {
			examples = append(examples, g.contents.examples[row])
		}
	}
	return examples, nil
}

// Forget removes a class with all of its examples and returns how many they were.
// When it returns without an error, that is on the disk. The file does not shrink:
// until other examples take their place there, the bytes of those that are gone
// may still lie in it. The error is ErrUnknownClass, wrapped.
func (g *Gallery) Forget(class string) (examples int, err error) {
	examples, err = g.forget(class)
	return examples, g.wrap(err, "forget")
}

func (g *Gallery) forget(class string) (int, error) {
	if err := g.change(); err != nil {
		return 0, err
	}
	defer g.writing.Unlock()
	number, err := g.contents.number(class)
	if err != nil {
		return 0, err
	}
	ids := g.contents.idsOf(number)
	if err := g.store.remove(ids); err != nil {
		return 0, err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	rows := g.contents.forget(number)
	if g.graph != nil {
		g.graph = g.graph.Remove(rows)
	}
	return len(ids), nil
}
