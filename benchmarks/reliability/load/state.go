package load

import (
	"context"
	"io"
	"regexp"
	"strconv"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// state is what a server holds while nobody asks.
type state struct {
	goroutines, descriptors int
	resident                int64 // bytes
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// stateOf asks a server and its process. Each request is added to the tally.
func stateOf(ctx context.Context, s *server, c *client, t *tally) (found state, err error) {
	response, err := c.send(ctx, "GET", "/metrics")
	if err != nil {
		return found, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return found, err
	}
	t.answer(metrics.name, response.StatusCode, 0)
	number := goroutines.FindSubmatch(text)
	if number == nil {
		return found, errors.Errorf("metrics: found no go_goroutines in %s %s", response.Status, text)
	}
	if found.goroutines, err = strconv.Atoi(string(number[1])); err != nil {
		return found, err
	}
	if found.descriptors, err = descriptors(s.command.Process.Pid); err != nil {
		return found, err
	}
	found.resident, err = resident(s.command.Process.Pid)
	return found, err
}

// whole opens the gallery that a server has left and says whether it holds what the
// clients were told, and nothing else.
func whole(path string, clients []*client) (classes, examples int, err error) {
	network, err := zoo.Load(model)
	if err != nil {
		return 0, 0, err
	}
	g, err := gallery.Open(path, network, gallery.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer g.Close()
	for _, c := range clients {
		if c.enrolled == 0 {
			continue
		}
		found, err := g.Examples(c.class)
		if err != nil {
			return 0, 0, err
		}
		if len(found) != c.enrolled {
			return 0, 0, errors.Errorf("gallery: found %d examples of %s, expected the %d that were acknowledged", len(found), c.class, c.enrolled)
		}
		classes++
		examples += len(found)
	}
	if g.Len() != examples {
		return 0, 0, errors.Errorf("gallery: found %d examples, expected the %d that were acknowledged", g.Len(), examples)
	}
	return classes, examples, nil
}
