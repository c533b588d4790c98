// SPDX-License-Identifier: MPL-2.0

// Package grpcmux makes gRPC calls on streams of package mux, with neither HTTP/2 nor a
// goroutine of gRPC's between them and the connection. The host's side takes them from
// the interceptors of a grpc.ClientConn, and leaves those to HTTP/2 that it cannot make;
// the plugin's gives them to a grpc.Server by its ServeHTTP, so that all that is
// registered there works. PROTOCOL.md, "gRPC calls", has the bytes.
package grpcmux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// What a stream of a call carries is a sequence of items in each direction: a flag, the
// length of what follows as uint32, big-endian, and that many bytes. A message is as gRPC
// has it elsewhere. A host sends nothing but messages. A plugin may send one header before
// all messages, and sends one trailer as the last; or a refusal, and nothing else.
const (
	itemMessage    = 0
	itemCompressed = 1    // a message that is compressed as the header's grpc-encoding says
	itemHeader     = 0x80 // metadata
	itemTrailer    = 0x81 // status and metadata
	itemRefused    = 0x82 // in the place of all others: why the call was not run

	itemHead = 5
)

const (
	// maxFields bounds a header or trailer, in bytes. It is what grpc-go allows there.
	maxFields = 16 << 20
	// maxPairs bounds the pairs of metadata in either.
	maxPairs = 1 << 14
	// maxRefusal is how many bytes are read of why a call was not run.
	maxRefusal = 1 << 10
	// pieceSize is how many bytes of a message are allocated at once: a peer that only
	// announces a long one has no memory for it.
	pieceSize = 64 << 10
)

var errMalformed = errors.New("malformed gRPC call")

// beginItem appends the head of an item whose length endItem sets.
func beginItem(b []byte, flag byte) []byte { return append(b, flag, 0, 0, 0, 0) }

// endItem sets the length of the item that begins at start.
func endItem(b []byte, start int) {
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-itemHead))
}

// items reads what the other side of a call sends.
type items struct {
	io.Reader
	head [itemHead]byte
}

// next reads the head of an item. io.EOF is the end between two.
func (r *items) next() (flag byte, size uint32, err error) {
	if _, err := io.ReadFull(r, r.head[:]); err != nil {
		return 0, 0, err
	}
	return r.head[0], binary.BigEndian.Uint32(r.head[1:]), nil
}

// rest reads the bytes of an item. The caller frees them.
func (r *items) rest(size uint32) (data mem.BufferSlice, err error) {
	if p, ok := r.Reader.(*pieces); ok {
		if data := p.next(int(size)); data != nil {
			return data, nil
		}
	}
	for left := int64(size); left > 0; {
		n := int(min(left, pieceSize))
		pool := poolFor(n)
		piece := pool.Get(n)
		n, err = io.ReadFull(r, *piece)
		data = append(data, mem.NewBuffer(piece, pool))
		if err != nil {
			data.Free()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		left -= int64(n)
	}
	return data, nil
}

// poolFor returns where a buffer of n bytes comes from. For more than 32 KiB gRPC's own pool
// has one of 1 MiB, and clears it each time.
func poolFor(n int) mem.BufferPool {
	if n <= 32<<10 {
		return mem.DefaultBufferPool()
	}
	return &largePieces
}

// piecePool has buffers of pieceSize.
type piecePool struct{ sync.Pool }

var largePieces piecePool

// Get implements mem.BufferPool.
func (p *piecePool) Get(n int) *[]byte {
	if b, ok := p.Pool.Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, pieceSize)
	return &b
}

// Put implements mem.BufferPool.
func (p *piecePool) Put(b *[]byte) { p.Pool.Put(b) }

// fields reads the bytes of a header or trailer.
func (r *items) fields(size uint32) (fields, error) {
	if size > maxFields {
		return fields{}, fmt.Errorf("%w: metadata of %d bytes, at most %d are possible", errMalformed, size, maxFields)
	}
	if p, ok := r.Reader.(*pieces); ok {
		if data := p.whole(int(size)); data != nil {
			return fields{data: data}, nil
		}
	}
	data, err := r.rest(size)
	if err != nil {
		return fields{}, err
	}
	if len(data) == 1 {
		return fields{data: data[0].ReadOnlyData()}, nil // left to the garbage collector
	}
	defer data.Free()
	return fields{data: data.Materialize()}, nil
}

// fields are numbers and texts in a sequence. Its methods return zero after an error.
type fields struct {
	data []byte
	err  error
}

func (f *fields) fail(what string) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s", errMalformed, what)
	}
}

func (f *fields) number() uint64 {
	n, size := binary.Uvarint(f.data)
	if size <= 0 || f.err != nil {
		f.fail("a number is cut off")
		return 0
	}
	f.data = f.data[size:]
	return n
}

// bytes returns what is behind its length. It is a part of the data.
func (f *fields) bytes() []byte {
	n := f.number()
	if n > uint64(len(f.data)) || f.err != nil {
		f.fail("a text is cut off")
		return nil
	}
	text := f.data[:n]
	f.data = f.data[n:]
	return text
}

// metadata reads pairs behind their number, which is at most most. It is nil if there are
// none.
func (f *fields) metadata(most uint64) metadata.MD {
	pairs := f.number()
	if pairs > most {
		f.fail(fmt.Sprintf("%d pairs of metadata, at most %d are possible", pairs, most))
	}
	if pairs == 0 || f.err != nil {
		return nil
	}
	md := make(metadata.MD, min(pairs, 16))
	for range pairs {
		key, value := string(f.bytes()), string(f.bytes())
		if f.err != nil {
			return nil
		}
		md[key] = append(md[key], value)
	}
	return md
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// code is a status code as it is sent.
func (f *fields) code() uint32 {
	n := f.number()
	if n > math.MaxUint32 {
		f.fail("no status code")
	}
	return uint32(n)
}
