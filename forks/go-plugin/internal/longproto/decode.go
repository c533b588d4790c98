// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxDepth is how deep within a message long fields are looked for. What is deeper is left to
// proto, which has a bound of its own.
const maxDepth = 32

// merge decodes one part of a message.
var merge = proto.UnmarshalOptions{Merge: true, AllowPartial: true}

// Unmarshal decodes a message as proto.Unmarshal does, with the same errors. It keeps nothing
// of data.
func Unmarshal(data mem.BufferSlice, m proto.Message) error { return unmarshal(data, m, Long) }

func unmarshal(data mem.BufferSlice, m proto.Message, long int) error {
	proto.Reset(m)
	d := decoder{long: long}
	if err := d.message(m.ProtoReflect(), newCursor(data), 0); err != nil {
		return err
	}
	return proto.CheckInitialized(m)
}

// decoder decodes a message.
type decoder struct{ long int }

// message decodes what c has into m. Fields are taken in the order in which they come, as
// later ones may replace earlier ones.
func (d *decoder) message(m protoreflect.Message, c cursor, depth int) error {
	fields := m.Descriptor().Fields()
	if depth == maxDepth {
		fields = nil
	}
	for c.left > 0 {
		start := c
		fd, at, size := d.seek(&c, fields)
		if err := rest(m, start, at); err != nil {
			return err
		}
		if fd == nil {
			continue
		}
		value := c
		value.left = size
		c.skip(size)
		decoded, err := d.field(m, fd, value, depth)
		if err == nil && !decoded {
			err = rest(m, at, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rest has proto decode what is between two places.
func rest(m protoreflect.Message, from, to cursor) error {
	n := from.left - to.left
	if n == 0 {
		return nil
	}
	return merge.Unmarshal(from.take(n), m.Interface())
}

// seek goes to the value of the next long field, which has size bytes and whose tag is at at.
// It returns nil if there is none, or if what comes is not understood, of which proto knows
// what to say: then at is the end.
func (d *decoder) seek(c *cursor, fields protoreflect.FieldDescriptors) (fd protoreflect.FieldDescriptor, at cursor, size int) {
	for c.left > 0 && fields != nil {
		at = *c
		number, size, ok := c.field()
		if !ok {
			break
		}
		if size >= d.long {
			if fd := fields.ByNumber(number); isHandled(fd) {
				return fd, at, size
			}
		}
		c.skip(size)
	}
	c.skip(c.left)
	return nil, *c, 0
}

// field decodes the value of a long field. It reports false if that is left to proto.
func (d *decoder) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, c cursor, depth int) (ok bool, err error) {
	var v protoreflect.Value
	switch fd.Kind() {
	case protoreflect.BytesKind:
		data := make([]byte, c.left)
		c.read(data)
		v = protoreflect.ValueOfBytes(data)
	case protoreflect.StringKind:
		text := c.text()
		if !utf8.ValidString(text) {
			return false, nil // Some messages may have it.
		}
		v = protoreflect.ValueOfString(text)
	default:
		return true, d.message(child(m, fd), c, depth+1)
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(v)
	} else {
		m.Set(fd, v)
	}
	return true, nil
}

// child is what a field of m is decoded into that is a message.
func child(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Message {
	if fd.IsList() {
		return m.Mutable(fd).List().AppendMutable().Message()
	}
	return m.Mutable(fd).Message()
}

// text returns all that is left.
func (c *cursor) text() string {
	var b strings.Builder
	b.Grow(c.left)
	for c.left > 0 {
		_, _ = b.Write(c.piece(min(c.left, pieceSize))) // never fails
	}
	return b.String()
}
