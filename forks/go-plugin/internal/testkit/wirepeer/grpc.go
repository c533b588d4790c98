// SPDX-License-Identifier: MPL-2.0

package wirepeer

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Octets of what a gRPC call's stream carries.
const (
	Message = 0x00
	Header  = 0x80
	Trailer = 0x81
)

// CallHeader is the header of a gRPC call's stream: pairs are keys and values in turn.
func CallHeader(method string, timeout uint64, pairs ...string) []byte {
	b := appendText(nil, method)
	b = append(b, 0, 0) // no subtype, no encoding
	return appendPairs(binary.AppendUvarint(b, timeout), pairs)
}

func appendPairs(b []byte, pairs []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(pairs)/2))
	for _, text := range pairs {
		b = appendText(b, text)
	}
	return b
}

func (f *frame) pairs() (pairs []string) {
	for range 2 * f.number() {
		pairs = append(pairs, f.text())
	}
	return pairs
}

// CallOf is what the header of a stream says of its call.
func CallOf(s *Stream) (method string, timeout uint64, pairs []string, err error) {
	f := &frame{rest: s.Header}
	method = f.text()
	if subtype, encoding := f.text(), f.text(); subtype != "" || encoding != "" {
		err = fmt.Errorf("subtype %q and encoding %q", subtype, encoding)
	}
	return method, f.number(), f.pairs(), err
}

// Item reads one.
func (s *Stream) Item() (octet byte, b []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return 0, nil, err
	}
	b = make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(s, b)
	return head[0], b, err
}

// SendItem sends one.
func (s *Stream) SendItem(octet byte, b []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{octet}, uint32(len(b)))
	_, err := s.Write(append(head, b...))
	return err
}

// ReadPairs reads those of a header: keys and values in turn.
func ReadPairs(b []byte) []string { return (&frame{rest: b}).pairs() }

// Status is what a trailer says.
type Status struct {
	Code    uint64
	Text    string
	Details string // a google.rpc.Status, or empty
	Pairs   []string
}

// ReadStatus reads a trailer.
func ReadStatus(b []byte) Status {
	f := &frame{rest: b}
	return Status{f.number(), f.text(), f.text(), f.pairs()}
}

// SendStatus sends a trailer, and ends the stream.
func (s *Stream) SendStatus(st Status) error {
	b := appendText(binary.AppendUvarint(nil, st.Code), st.Text)
	if err := s.SendItem(Trailer, appendPairs(appendText(b, st.Details), st.Pairs)); err != nil {
		return err
	}
	return s.CloseWrite()
}

// Text is a google.protobuf.StringValue.
func Text(s string) []byte {
	if s == "" {
		return nil
	}
	return appendText([]byte{1<<3 | 2}, s)
}

// ReadText is what one has.
func ReadText(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return (&frame{rest: b[1:]}).text()
}
