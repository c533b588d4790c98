// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// inbox reads messages. Only the reader of the session uses it.
// As an io.Reader and io.ByteReader it gives what is left of the current
// message.
type inbox struct {
	r    *readAhead
	left int
}

func newInbox(conn io.Reader, before func()) inbox { return inbox{r: newReadAhead(conn, before)} }

// message is what stands before the value of a message.
type message struct {
	kind    kind
	fresh   bool
	more    bool // it goes on in a later frame
	channel uint64
	number  uint64
	size    uint64 // of the whole value, with more; what a grant grants; a refusal's code
	timeout time.Duration
	// metadata are keys and values in turn, each behind its length.
	metadata []byte
	// method is valid until the next message is read.
	method []byte
}

var errMalformed = errors.New("malformed message")

// next reads the head of the next message, and drops what is left of the last.
func (in *inbox) next(m *message) error {
	if err := in.skip(); err != nil {
		return err
	}
	head, err := in.r.Peek(lengthSize)
	if err != nil {
		return midway(err, len(head))
	}
	length := binary.BigEndian.Uint32(head)
	switch {
	case length == 0:
		return fmt.Errorf("%w: its length is 0", errMalformed)
	case length > maxFrame:
		return fmt.Errorf("%w: its length is %d, at most %d are possible", errMalformed, length, maxFrame)
	}
	_, _ = in.r.Discard(lengthSize)
	in.left = int(length)
	err = in.head(m)
	if err != nil && in.r.err == nil {
		return fmt.Errorf("%w of kind %d: %v", errMalformed, m.kind, err)
	}
	return midway(err, lengthSize)
}

// head reads the fields of a message.
func (in *inbox) head(m *message) error {
	b, err := in.ReadByte()
	if err != nil {
		return err
	}
	k := kind(b)
	*m = message{kind: k &^ flags, fresh: k&flagFresh != 0, more: k&flagMore != 0}
	switch m.kind {
	case kindRequest, kindWithdrawn, kindAnswer, kindFailure, kindRefused, kindCancel, kindPart, kindGrant:
		if m.channel, err = in.uvarint(); err != nil {
			return err
		}
		m.number, err = in.uvarint()
	case kindRelease, kindOpen:
		m.channel, err = in.uvarint()
	case kindAccepts:
		m.number, err = in.uvarint()
	}
	if err != nil {
		return err
	}
	switch m.kind {
	case kindRequest, kindWithdrawn:
		if err = in.call(m); err == nil {
			err = in.value(m)
		}
	case kindAnswer, kindFailure:
		err = in.value(m)
	case kindRefused, kindGrant:
		m.size, err = in.uvarint()
	}
	return err
}

// value reads the size of a value that comes in parts.
func (in *inbox) value(m *message) (err error) {
	if m.more {
		m.method = bytes.Clone(m.method) // Reading on may end what it is of.
		m.size, err = in.uvarint()
	} else if in.left > maxShort {
		err = fmt.Errorf("a value of %d bytes is not sent in parts", in.left)
	}
	return err
}

// call reads what a request says of its call before the arguments.
func (in *inbox) call(m *message) error {
	micros, err := in.uvarint()
	if err != nil {
		return err
	}
	m.timeout = time.Duration(min(micros, maxTimeout)) * time.Microsecond
	pairs, err := in.uvarint()
	if err != nil {
		return err
	}
	if pairs > maxPairs {
		return fmt.Errorf("it has %d pairs of metadata, at most %d are possible", pairs, maxPairs)
	}
	for range 2 * pairs {
		if m.metadata, err = in.lengthAndText(m.metadata); err != nil {
			return err
		}
	}
	m.method, err = in.name()
	return err
}

// maxTimeout is the longest timeout, in microseconds. A longer one is cut.
const maxTimeout = uint64(math.MaxInt64 / int64(time.Microsecond))

// lengthAndText appends a text of metadata and its length.
func (in *inbox) lengthAndText(to []byte) ([]byte, error) {
	n, err := in.uvarint()
	if err != nil {
		return to, err
	}
	if n > maxMetadata || len(to)+int(n) > maxMetadata || int(n) > in.left {
		return to, fmt.Errorf("a text of %d bytes is too long for its metadata", n)
	}
	to = binary.AppendUvarint(to, n)
	at := len(to)
	to = append(to, make([]byte, n)...)
	_, err = io.ReadFull(in, to[at:])
	return to, err
}

// name reads the name of a method.
func (in *inbox) name() ([]byte, error) {
	n, err := in.uvarint()
	if err != nil {
		return nil, err
	}
	if n > maxMethod || int(n) > in.left {
		return nil, fmt.Errorf("the method's name has %d bytes", n)
	}
	name, err := in.r.Peek(int(n))
	if err != nil {
		return nil, err
	}
	in.left -= int(n)
	_, err = in.r.Discard(int(n))
	return name, err
}

// skip drops what is left of the current message.
func (in *inbox) skip() error {
	n, err := in.r.Discard(in.left)
	in.left -= n
	return midway(err, n)
}

// Read gives what is left of the message. The connection's end is unexpected before that:
// whoever reads to the end must not take it for the message's.
func (in *inbox) Read(p []byte) (int, error) {
	if in.left == 0 {
		return 0, io.EOF
	}
	n, err := in.r.Read(p[:min(len(p), in.left)])
	in.left -= n
	return n, midway(err, lengthSize)
}

// ReadByte gives a byte of what is left of the message.
func (in *inbox) ReadByte() (byte, error) {
	if in.left == 0 {
		return 0, io.EOF
	}
	b, err := in.r.ReadByte()
	if err == nil {
		in.left--
	}
	return b, err
}

// uvarint reads a number of what is left of the message. Most are there as a whole, and then
// no byte is asked for by itself: a message begins with half a dozen of them.
func (in *inbox) uvarint() (uint64, error) {
	there := in.r.data[:min(len(in.r.data), in.left)]
	n, size := binary.Uvarint(there)
	if size <= 0 { // It goes on behind these, or is none.
		return binary.ReadUvarint(in)
	}
	in.r.data = in.r.data[size:]
	in.left -= size
	return n, nil
}

// midway turns the end of the connection within a message into an error that
// says so.
func midway(err error, read int) error {
	if read > 0 && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
