package gallery

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/likeness-go/likeness/internal/wording"
)

// Class is a class with the number of its examples.
type Class struct {
	Name     string
	Examples int
}

// CheckClassName reports why a new class cannot have a name; the error is
// ErrClassName, wrapped. A name must be valid UTF-8 that
//
//   - has a character that can be seen, and neither begins nor ends with white space;
//   - holds no character that could forge a line of a list or make a part of it read
//     backwards: no control character, no line or paragraph separator, and none of the
//     characters that change the direction of text (Unicode's Bidi_Control);
//   - does not hold U+FFFD, which decoders put in place of bytes that are not UTF-8, so
//     that different names become one;
//   - is not ".", ".." or "/", which no path of a URL can end with.
//
// A gallery that was made before these rules may hold other names. Its classes are
// known, get further examples and are forgotten by their exact names.
func CheckClassName(name string) error {
	refuse := func(found, expected string) error {
		return fmt.Errorf("%w %q: found %s, expected %s", ErrClassName, name, found, expected)
	}
	switch {
	case strings.TrimSpace(name) == "":
		return refuse("an empty name", "one with a visible character")
	case strings.IndexFunc(name, wording.Visible) < 0:
		return refuse("invisible characters only", "one with a visible character")
	case !utf8.ValidString(name):
		return refuse("bytes that are not UTF-8", "UTF-8")
	case strings.ContainsRune(name, utf8.RuneError):
		return refuse("the character U+FFFD, which stands for bytes that were not UTF-8", "the name itself in UTF-8")
	}
	for _, r := range name {
		if wording.Breaks(r) {
			return refuse(fmt.Sprintf("the character %U", r), "no control characters, line separators or characters that change the direction of text")
		}
	}
	switch {
	case strings.TrimSpace(name) != name:
		return refuse("white space at its beginning or end", "none there")
	case name == "." || name == ".." || name == "/":
		return refuse("a name that a URL path cannot end with", "another one")
	}
	return nil
}

// checkClass checks the name of a class that an example is to be added to, unless it
// is known.
func (g *Gallery) checkClass(name string) error {
	if !g.isOpen() {
		return errNotOpened
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if _, known := g.contents.numbers[name]; known {
		return nil
	}
	return CheckClassName(name)
}

// Classes are the known classes in the alphabetical order of their names.
func (g *Gallery) Classes() []Class {
	if !g.isOpen() {
		return nil
	}
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
	if !g.isOpen() {
		return 0
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.contents.vectors.Len()
}

// Examples are those of a class, in the order in which they were enrolled. The
// error is ErrUnknownClass, wrapped.
func (g *Gallery) Examples(class string) ([]Example, error) {
	if !g.isOpen() {
		return nil, g.wrap(errNotOpened, "examples")
	}
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
	rows, err := g.contents.forget(number)
	if err == nil && g.graph != nil {
		g.graph, err = g.graph.Remove(rows)
	}
	return len(ids), err
}
