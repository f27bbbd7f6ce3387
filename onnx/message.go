package onnx

import "google.golang.org/protobuf/encoding/protowire"

// message is a protocol buffer in the making, as pieces to be written one after
// the other: a message within a message has its length before it, and weights of
// many megabytes are not to be copied for each message around them.
type message struct {
	pieces [][]byte
	size   int // bytes of all pieces
}

func (m *message) add(piece []byte) {
	m.pieces = append(m.pieces, piece)
	m.size += len(piece)
}

// integer writes an int32, an int64 or an enumeration.
func (m *message) integer(field protowire.Number, value int64) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(value)))
}

func (m *message) text(field protowire.Number, value string) { m.bytes(field, []byte(value)) }

// bytes keeps the slice.
func (m *message) bytes(field protowire.Number, value []byte) {
	m.begin(field, len(value))
	m.add(value)
}

// message writes a message within this one.
func (m *message) message(field protowire.Number, value message) {
	m.begin(field, value.size)
	m.pieces = append(m.pieces, value.pieces...)
	m.size += value.size
}

func (m *message) begin(field protowire.Number, length int) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(length)))
}
