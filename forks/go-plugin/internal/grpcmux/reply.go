// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// reply is what a host has read of an answer. One goroutine reads it.
type reply struct {
	items
	header, trailer metadata.MD
	compression     string // of the messages
	begun           bool   // something has come
	flag            byte   // of a message whose head was read
	size            uint32
	pending         bool // there is one
	ended           bool // the trailer has come
	status          *status.Status
}

// next reads up to the next message, and reports false at the end of the call.
func (r *reply) next() (more bool, err error) {
	for !r.pending && !r.ended {
		if err := r.item(); err != nil {
			return false, err
		}
	}
	return r.pending, nil
}

// item reads one item, of a message only the head.
func (r *reply) item() error {
	flag, size, err := r.items.next()
	switch {
	case err != nil:
	case flag == itemMessage || flag == itemCompressed:
		r.pending, r.flag, r.size = true, flag, size
	case flag == itemHeader && !r.begun:
		err = r.readHeader(size)
	case flag == itemTrailer:
		err = r.readTrailer(size)
	case flag == itemRefused && !r.begun:
		err = r.readRefusal(size)
	default:
		err = fmt.Errorf("%w: an item of kind %d", errMalformed, flag)
	}
	r.begun = r.begun || err == nil
	return err
}

func (r *reply) readHeader(size uint32) error {
	f, err := r.fields(size)
	if err != nil {
		return err
	}
	md := f.metadata(maxPairs)
	if of := md[keyEncoding]; len(of) > 0 {
		r.compression = of[0]
		delete(md, keyEncoding)
	}
	r.header = md
	return f.err
}

func (r *reply) readTrailer(size uint32) error {
	f, err := r.fields(size)
	if err != nil {
		return err
	}
	code, text, details := codes.Code(f.code()), string(f.bytes()), f.bytes()
	r.trailer = f.metadata(maxPairs)
	r.ended = true
	if code == codes.OK {
		return f.err
	}
	r.status = status.New(code, text)
	if len(details) > 0 {
		full := r.status.Proto()
		if proto.Unmarshal(details, full) == nil && full.GetCode() == int32(code) {
			r.status = status.FromProto(full)
		}
	}
	return f.err
}

// refusal is a call that the plugin has surely not run, and why, in its words. Whoever makes
// the call elsewhere does no harm.
type refusal struct{ why string }

// Error implements error.
func (r *refusal) Error() string { return "the plugin has not run the call: " + r.why }

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

func (r *reply) readRefusal(size uint32) error {
	f, err := r.fields(min(size, maxRefusal))
	if err != nil {
		return err
	}
	return &refusal{peererr.Text(string(f.data))}
}

// message decodes the message that next has found.
func (r *reply) message(o *options, msg any) error {
	r.pending = false
	return o.readMessage(&r.items, r.flag, r.size, r.compression, msg)
}

// pieces is what has come of an answer, in the pieces in which it was read.
type pieces struct {
	list  [][]byte
	size  int
	array [1][]byte // of list, at first
	large loans     // those of largePieces
	first [smallPiece]byte
}

// last returns room for more.
func (p *pieces) last() []byte {
	if n := len(p.list); n > 0 {
		if last := p.list[n-1]; cap(last)-len(last) > 0 {
			return last[len(last):cap(last)]
		}
	}
	if len(p.list) == 0 {
		p.list = append(p.array[:0], p.first[:0])
		return p.first[:]
	}
	n := min(max(4*p.size, 4*smallPiece), pieceSize)
	if n < pieceSize {
		p.list = append(p.list, make([]byte, 0, n))
	} else {
		piece := largePieces.Get(n)
		p.large.own(&largePieces.Pool, piece)
		p.list = append(p.list, (*piece)[:0])
	}
	return p.list[len(p.list)-1][:n]
}

// recycle lets others use the pieces, but for what a codec still has.
func (p *pieces) recycle() {
	p.list = nil
	p.large.free()
}

// smallPiece is what most answers fit into.
const smallPiece = 256

// whole takes out the next n bytes, or returns nil if they are not in one piece. They are
// valid until recycle.
func (p *pieces) whole(n int) []byte {
	if len(p.list) == 0 || len(p.list[0]) < n {
		return nil
	}
	data := p.list[0][:n]
	p.list[0] = p.list[0][n:]
	p.size -= n
	return data
}

// next takes out the next n bytes, or returns nil if there are not as many. The caller
// frees them.
func (p *pieces) next(n int) (data mem.BufferSlice) {
	if p.size < n {
		return nil
	}
	p.size -= n
	for n > 0 {
		k := min(n, len(p.list[0]))
		if k > 0 {
			data = append(data, p.large.lend(p.list[0][:k:k]))
		}
		if p.list[0] = p.list[0][k:]; n > k {
			p.list = p.list[1:]
		}
		n -= k
	}
	return data
}

func (p *pieces) grow(n int) *pieces {
	i := len(p.list) - 1
	p.list[i] = p.list[i][:len(p.list[i])+n]
	p.size += n
	return p
}

// announced is the size of the first item.
func (p *pieces) announced() int { return int(binary.BigEndian.Uint32(p.list[0][1:])) }

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	for len(p.list) > 0 {
		if n := copy(b, p.list[0]); n > 0 {
			p.list[0] = p.list[0][n:]
			p.size -= n
			return n, nil
		}
		if len(b) == 0 {
			return 0, nil
		}
		p.list = p.list[1:]
	}
	return 0, io.EOF
}
