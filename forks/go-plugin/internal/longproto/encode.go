// SPDX-License-Identifier: MPL-2.0

// Package longproto encodes and decodes long protobuf messages in pieces. The protobuf
// library copies a field of bytes or a text as a whole: 10 to 60 ms for 64 MiB of memory
// that is new, in which neither Go's scheduler nor its garbage collector can stop it, and
// for which all that runs beside it waits. Here such a field is sent from where it is, and
// what has come of it is copied a piece at a time.
package longproto

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Long is from how many bytes on a field is long. A message of fewer bytes needs no care.
const Long = 32 << 10

// headSize is from how many bytes on what was gathered beside long fields gets a piece of its
// own before the next element is added. One element, or the short fields of one message, may
// come on top.
const headSize = 64 << 10

// Marshal encodes a message, to the same fields as proto.Marshal with the same errors, but
// those that are long come behind the others. The result refers to bytes and texts of the
// message, and is good until that is changed.
func Marshal(m proto.Message) (mem.BufferSlice, error) { return marshal(m, Long) }

func marshal(m proto.Message, long int) (mem.BufferSlice, error) {
	e := encoder{long: long}
	message := m.ProtoReflect()
	proto.Size(m) // The messages within keep theirs, which is asked for at each level.
	if fields := e.longFields(message); len(fields) > 0 {
		err := proto.CheckInitialized(m)
		if err == nil {
			err = e.parts(message, fields, 0)
		}
		if err == nil {
			e.flush()
			return e.out, nil
		}
	}
	b, err := proto.Marshal(m) // It knows the words for what may be wrong.
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// encoder makes a message.
type encoder struct {
	long int
	out  mem.BufferSlice
	size int    // bytes in out
	head []byte // what is to follow
}

// errOther is what has to be left to proto.
var errOther = errors.New("the message cannot be encoded in pieces")

// partly encodes one part of a message.
var partly = proto.MarshalOptions{AllowPartial: true}

// sized knows the size of a message from when that of the whole was taken, if it keeps it.
// One that has changed since is noticed when it was encoded.
var sized = proto.MarshalOptions{UseCachedSize: true}

// longField is a field of a message that has something long.
type longField struct {
	protoreflect.FieldDescriptor
	protoreflect.Value
}

func (e *encoder) longFields(m protoreflect.Message) (all []longField) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if isHandled(fd) && e.isLong(fd, v) {
			all = append(all, longField{fd, v})
		}
		return true
	})
	return all
}

// isHandled reports whether fields like this one are encoded and decoded here, if they are
// long.
func isHandled(fd protoreflect.FieldDescriptor) bool {
	if fd == nil || fd.IsMap() || fd.IsExtension() {
		return false
	}
	switch fd.Kind() {
	case protoreflect.BytesKind, protoreflect.StringKind, protoreflect.MessageKind:
		return true
	}
	return false
}

func (e *encoder) isLong(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if !fd.IsList() {
		return sizeOf(fd, v) >= e.long
	}
	for i, list := 0, v.List(); i < list.Len(); i++ {
		if sizeOf(fd, list.Get(i)) >= e.long {
			return true
		}
	}
	return false
}

func sizeOf(fd protoreflect.FieldDescriptor, v protoreflect.Value) int {
	switch fd.Kind() {
	case protoreflect.BytesKind:
		return len(v.Bytes())
	case protoreflect.StringKind:
		return len(v.String())
	}
	return sized.Size(v.Message().Interface())
}

// message appends a message of size bytes, which is so deep within the whole.
func (e *encoder) message(m protoreflect.Message, size, depth int) error {
	if size < e.long || depth >= maxDepth {
		return e.plain(m)
	}
	return e.parts(m, e.longFields(m), depth)
}

// parts appends a message of which these fields are long.
func (e *encoder) parts(m protoreflect.Message, long []longField, depth int) error {
	if len(long) == 0 {
		return e.plain(m)
	}
	rest := m.New()
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		for _, one := range long {
			if one.Number() == fd.Number() {
				return true
			}
		}
		rest.Set(fd, v)
		return true
	})
	rest.SetUnknown(m.GetUnknown())
	if err := e.plain(rest); err != nil {
		return err
	}
	for _, one := range long {
		if err := e.field(one.FieldDescriptor, one.Value, depth); err != nil {
			return err
		}
	}
	return nil
}

// plain appends a message as proto encodes it: it has nothing long, or is too deep.
func (e *encoder) plain(m protoreflect.Message) (err error) {
	e.head, err = partly.MarshalAppend(e.head, m.Interface())
	return err
}

func (e *encoder) field(fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if !fd.IsList() {
		return e.value(fd, v, depth)
	}
	for i, list := 0, v.List(); i < list.Len(); i++ {
		if err := e.value(fd, list.Get(i), depth); err != nil {
			return err
		}
	}
	return nil
}

// value appends a field's only value, or one of its values, with its tag. depth is that of
// the message which has the field.
func (e *encoder) value(fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if len(e.head) >= headSize {
		e.flush()
	}
	size := sizeOf(fd, v)
	e.head = protowire.AppendTag(e.head, fd.Number(), protowire.BytesType)
	e.head = protowire.AppendVarint(e.head, uint64(size))
	switch fd.Kind() {
	case protoreflect.BytesKind:
		e.bytes(v.Bytes())
		return nil
	case protoreflect.StringKind:
		text := v.String()
		if !utf8.ValidString(text) {
			return errOther // Some messages may have it.
		}
		e.bytes(unsafe.Slice(unsafe.StringData(text), len(text))) // Nobody writes to it.
		return nil
	}
	end := e.size + len(e.head) + size
	if err := e.message(v.Message(), size, depth+1); err != nil {
		return err
	}
	if e.size+len(e.head) != end {
		return errOther // It is being changed.
	}
	return nil
}

// bytes appends data, without a copy if it is long.
func (e *encoder) bytes(data []byte) {
	if len(data) < e.long {
		e.head = append(e.head, data...)
		return
	}
	e.flush()
	e.out = append(e.out, mem.SliceBuffer(data))
	e.size += len(data)
}

// flush makes a piece of what was gathered.
func (e *encoder) flush() {
	if len(e.head) > 0 {
		e.out = append(e.out, mem.SliceBuffer(e.head))
		e.size += len(e.head)
		e.head = nil
	}
}
