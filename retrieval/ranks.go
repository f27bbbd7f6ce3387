package retrieval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// This file divides the work of Embed and Near over the ranks of a job (Options.Communicator).
//
// A rank embeds whole groups of files, rank r the groups r, r + R, r + 2·R and so on of R ranks. The batches of
// the images of a group do not depend on other groups, so their embeddings have the bits that they have in one process.

// agreementGroups is the number of groups of a rank after which all ranks learn whether one has failed.
const agreementGroups = 4

// share is the part of Embed of one rank.
type share struct {
	*embedder
	files  []string // of all ranks
	size   int      // of a group
	groups int      // of all ranks
	done   int      // groups of this rank
	rounds int      // of agreements that are past
	over   bool     // after an error, which all ranks have
}

// newShare makes sure that all ranks have the same model and files.
func newShare(e *embedder, files []string) (*share, error) {
	s := &share{embedder: e, files: files, size: e.groupSize()}
	s.groups = (len(files) + s.size - 1) / s.size
	if e.options.Communicator == nil {
		s.over = true
		return s, nil
	}
	identity, err := e.model.Identity()
	sum := sha256.New()
	for _, file := range files {
		_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(file))))
		_, _ = sum.Write([]byte(file))
	}
	_, _ = fmt.Fprint(sum, e.options.SkipBroken, e.options.TTA, e.options.Flips)
	name := fmt.Sprintf("embed %d files, checksum %.6x, with the model of checksum %.12s", len(files), sum.Sum(nil), identity.Checksum)
	if err != nil {
		name = "embed"
	}
	_, err = e.options.Communicator.Agree(name, false, err)
	return s, err
}

// own are the files of the groups of this rank.
func (s *share) own() (files []string) {
	ranks := s.options.Communicator
	for g := ranks.Rank(); g < s.groups; g += ranks.Size() {
		files = append(files, s.files[g*s.size:min((g+1)*s.size, len(s.files))]...)
	}
	return files
}

// most is the largest number of groups of a rank, rank 0's.
func (s *share) most() int {
	return (s.groups + s.options.Communicator.Size() - 1) / s.options.Communicator.Size()
}

// finished counts a group, and agrees with the other ranks when it is time.
func (s *share) finished() error {
	if s.done++; !s.over && (s.done%agreementGroups == 0 || s.done == s.most()) {
		return s.agree(nil)
	}
	return nil
}

// end takes part in the agreements that are left, of which there are some after a failure, and on a rank
// that has a group less than others.
func (s *share) end(failure error) error {
	for !s.over && s.rounds*agreementGroups < s.most() {
		if err := s.agree(failure); err != nil {
			return err
		}
	}
	return failure
}

// agree returns the error of the first group that has one, in the order of the files, as one process would
// find it. It is the same on all ranks, but wraps what it wraps without ranks on rank 0 only.
func (s *share) agree(failure error) (err error) {
	defer func() { s.over = err != nil }()
	ranks := s.options.Communicator
	s.rounds++
	const none = -1
	own := float32(none)
	if failure != nil {
		own = float32(s.done*ranks.Size() + ranks.Rank())
	}
	all, err := ranks.Gather("files that were embedded", []float32{own})
	if err != nil {
		return err
	}
	first := slices.IndexFunc(all, func(group float32) bool { return group != none })
	if first < 0 {
		return nil
	}
	for rank, group := range all {
		if group != none && group < all[first] {
			first = rank
		}
	}
	text := []byte{}
	if failure != nil {
		kind := byte(0)
		if errors.Is(failure, ErrBroken) {
			kind = 1
		}
		text = append([]byte{kind}, failure.Error()...)
	}
	texts, err := ranks.ToRoot("failures", text)
	if err != nil {
		return err
	}
	if ranks.Root() {
		if err = failure; first != 0 {
			err = &remote{texts[first][0] == 1, string(texts[first][1:])}
			if texts[first][0] == 0 {
				err = errors.WithMessagef(err, "rank %d", first)
			}
		}
	}
	_, err = ranks.Agree("failures", false, err)
	return err
}

// remote is an error of another rank.
type remote struct {
	broken bool
	text   string
}

func (r *remote) Error() string { return r.text }

// Is reports that the error wraps ErrBroken.
func (r *remote) Is(target error) bool { return r.broken && target == ErrBroken }

// result is what a rank has found: of each of its files a message, which is empty for an image.
type result struct {
	Messages [][]byte
	Cached   int
}

// gathered returns on rank 0 the collection of all files, and on the others that of their own, which it gets.
func (s *share) gathered(c *Collection, own result, rows [][][]float32) (*Collection, error) {
	ranks := s.options.Communicator
	var data bytes.Buffer
	err := gob.NewEncoder(&data).Encode(own)
	header := data.Len()
	for _, rows := range rows {
		for _, row := range rows {
			for _, v := range row {
				data.Write(binary.LittleEndian.AppendUint32(data.AvailableBuffer(), math.Float32bits(v)))
			}
		}
	}
	if _, err = ranks.Agree("embeddings", false, err); err != nil {
		return nil, err
	}
	headers, err := ranks.ToRoot("results", data.Bytes()[:header])
	if err != nil {
		return nil, err
	}
	values, err := ranks.ToRoot("embeddings", data.Bytes()[header:])
	if err != nil {
		return nil, err
	}
	if ranks.Root() {
		c = &Collection{Metric: c.Metric, ranks: ranks}
		err = s.merge(headers, values, c)
	} else if c.Cached = own.Cached; len(c.Files) > 0 {
		err = c.addRows(rows, s.options)
	}
	if _, err = ranks.Agree("collection", false, err); err != nil {
		return nil, err
	}
	return c, nil
}

// merge makes the collection of all files.
func (s *share) merge(headers, values [][]byte, c *Collection) error {
	ranks := len(headers)
	results, images := make([]result, ranks), make([]int, ranks)
	all := 0
	for rank, header := range headers {
		if err := gob.NewDecoder(bytes.NewReader(header)).Decode(&results[rank]); err != nil {
			return errors.Wrapf(err, "results of rank %d", rank)
		}
		for _, message := range results[rank].Messages {
			if len(message) == 0 {
				images[rank]++
			}
		}
		all += images[rank]
		c.Cached += results[rank].Cached
	}
	if all == 0 {
		return s.nothing()
	}
	columns := 0
	for rank, n := range images {
		if n > 0 {
			columns = len(values[rank]) / (4 * n * int(s.symmetries))
		}
	}
	flat := make([][]float32, s.symmetries)
	for i := range flat {
		flat[i] = make([]float32, 0, all*columns)
	}
	files, rows := make([]int, ranks), make([]int, ranks) // of each rank that are done
	for i, path := range s.files {
		rank := i / s.size % ranks
		message := results[rank].Messages[files[rank]]
		files[rank]++
		if len(message) > 0 {
			c.Skipped = append(c.Skipped, string(message))
			continue
		}
		c.Files = append(c.Files, path)
		for symmetry := range flat {
			from := values[rank][4*columns*(symmetry*images[rank]+rows[rank]):][:4*columns]
			for ; len(from) > 0; from = from[4:] {
				flat[symmetry] = append(flat[symmetry], math.Float32frombits(binary.LittleEndian.Uint32(from)))
			}
		}
		rows[rank]++
	}
	for symmetry, data := range flat {
		embeddings, err := evaluate.NewEmbeddings(all, columns, data)
		if err != nil {
			return err
		}
		c.add(imaging.Symmetry(symmetry), embeddings, s.options)
	}
	return nil
}

// whole returns on all ranks a collection with the embeddings of that of rank 0.
func (c *Collection) whole() (*Collection, error) {
	ranks := c.ranks
	sizes, err := ranks.FromRoot("near images", func() ([]byte, error) {
		if err := c.check(); err != nil {
			return nil, err
		}
		var sizes []byte
		for _, n := range []int{c.Embeddings.Rows, c.Embeddings.Columns, len(c.Flips)} {
			sizes = binary.LittleEndian.AppendUint64(sizes, uint64(n))
		}
		return sizes, nil
	})
	if err != nil {
		return nil, err
	}
	all := *c
	if !ranks.Root() {
		rows, columns := int(binary.LittleEndian.Uint64(sizes)), int(binary.LittleEndian.Uint64(sizes[8:]))
		all = Collection{Metric: c.Metric, ranks: ranks}
		for symmetry := range max(1, int(binary.LittleEndian.Uint64(sizes[16:]))) {
			embeddings := evaluate.Embeddings{Rows: rows, Columns: columns, Data: make([]float32, rows*columns)}
			all.add(imaging.Symmetry(symmetry), embeddings, Options{Flips: binary.LittleEndian.Uint64(sizes[16:]) > 0})
		}
	}
	if len(all.Flips) == 0 {
		return &all, ranks.Broadcast("embeddings", all.Embeddings.Data)
	}
	for _, each := range all.Flips {
		if err := ranks.Broadcast("embeddings", each.Data); err != nil {
			return nil, err
		}
	}
	return &all, nil
}

// nearOnRanks is Near with the rows of the distance matrix divided over the ranks. Ranks other than 0 return no pairs.
func (c *Collection) nearOnRanks(ctx context.Context, threshold float64, onProgress func(done, total int)) ([]NearPair, error) {
	all, err := c.whole()
	if err != nil {
		return nil, err
	}
	pairs, err := all.strips(ctx, threshold, c.ranks.Rank(), c.ranks.Size(), onProgress)
	if _, err := c.ranks.Agree(fmt.Sprintf("images within %v", threshold), false, err); err != nil {
		return nil, err
	}
	var data []byte
	for _, p := range pairs {
		for _, n := range []uint64{uint64(p.A), uint64(p.B), math.Float64bits(p.Distance), uint64(p.Symmetry)} {
			data = binary.LittleEndian.AppendUint64(data, n)
		}
	}
	parts, err := c.ranks.ToRoot("pairs", data)
	if err != nil {
		return nil, err
	}
	pairs = nil
	for _, part := range parts {
		for ; len(part) > 0; part = part[4*8:] {
			n := func(i int) uint64 { return binary.LittleEndian.Uint64(part[8*i:]) }
			pairs = append(pairs, NearPair{int(n(0)), int(n(1)), math.Float64frombits(n(2)), imaging.Symmetry(n(3))})
		}
	}
	if len(pairs) > MaxPairs {
		err = errTooMany(threshold)
	}
	if _, err := c.ranks.Agree("pairs", false, err); err != nil {
		return nil, err
	}
	return sorted(pairs), nil
}
