// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

const (
	// readSize is how many bytes of a connection are read ahead.
	readSize = 32 << 10
	// shortRead is how many are after a part of a long message: what follows is likely
	// to be another one, which is read to where it shall be.
	shortRead = 4 << 10
	// directRead is from how many bytes on that is done.
	directRead = 8 << 10
)

// readBuffers are those of connections on which something has come.
type readBuffers struct{ ofSize [2]sync.Pool }

var readBufferPool readBuffers

func (p *readBuffers) of(n int) (*sync.Pool, int) {
	if n <= shortRead {
		return &p.ofSize[0], shortRead
	}
	return &p.ofSize[1], readSize
}

// Get implements mem.BufferPool.
func (p *readBuffers) Get(n int) *[]byte {
	pool, size := p.of(n)
	if b, ok := pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

// Put implements mem.BufferPool.
func (p *readBuffers) Put(b *[]byte) {
	pool, _ := p.of(len(*b))
	pool.Put(b)
}

// readAhead reads a connection. It has no buffer while it waits for something to come,
// unless in the middle of a frame. It remembers the connection's error, because gob does
// not say whether the connection failed or the value did.
type readAhead struct {
	io.Reader
	ready *idleread.Reader // nil: of what is no connection
	// before, if not nil, is called when what was read so far is used up, and
	// reading may wait.
	before func()
	err    error
	reads  atomic.Uint64 // that brought something

	buffer *[]byte
	data   []byte // what is left in it
	large  bool   // the last bytes were read past it
}

func newReadAhead(conn io.Reader, before func()) *readAhead {
	r := &readAhead{Reader: conn, before: before}
	if conn, ok := conn.(net.Conn); ok {
		r.ready = idleread.NewReader(conn)
	}
	return r
}

// Buffered is how many bytes can be read without waiting.
func (r *readAhead) Buffered() int { return len(r.data) }

// fill reads once, behind what is there.
func (r *readAhead) fill() error {
	size := readSize
	if r.large {
		size, r.large = shortRead, false
	}
	if r.before != nil {
		r.before()
	}
	var n int
	var err error
	switch {
	case len(r.data) == 0 && r.ready != nil:
		r.free()
		r.buffer, n, err = r.ready.ReadOnReady(size, &readBufferPool)
	default:
		if r.buffer == nil {
			r.buffer = readBufferPool.Get(size)
		}
		copy(*r.buffer, r.data)
		r.data = (*r.buffer)[:len(r.data)]
		n, err = r.Reader.Read((*r.buffer)[len(r.data):])
	}
	if n > 0 {
		r.data = (*r.buffer)[:len(r.data)+n]
	}
	return r.came(n, err)
}

// came notes what a read has brought. An error comes again, when what came with it is used
// up.
func (r *readAhead) came(n int, err error) error {
	switch {
	case n > 0:
		r.reads.Add(1)
		return nil
	case err == nil:
		return nil // Some connections do that.
	}
	r.err = err
	return err
}

// rest gives back a buffer that is used up: it may take long until the next read.
func (r *readAhead) rest() {
	if len(r.data) == 0 {
		r.free()
	}
}

func (r *readAhead) free() {
	if r.buffer != nil {
		readBufferPool.Put(r.buffer)
		r.buffer = nil
	}
}

// Peek returns the next n bytes, and all that there are before an error. They are valid
// until the next read.
func (r *readAhead) Peek(n int) ([]byte, error) {
	if n > shortRead {
		return nil, bufio.ErrBufferFull
	}
	for len(r.data) < n {
		if err := r.fill(); err != nil {
			return r.data, err
		}
	}
	return r.data[:n], nil
}

// Discard drops the next n bytes. It returns how many it has dropped.
func (r *readAhead) Discard(n int) (int, error) {
	for left := n; ; {
		k := min(left, len(r.data))
		r.data = r.data[k:]
		if left -= k; left == 0 {
			return n, nil
		}
		if err := r.fill(); err != nil {
			return n - left, err
		}
	}
}

// Read implements io.Reader.
func (r *readAhead) Read(p []byte) (int, error) {
	for len(r.data) == 0 {
		if len(p) >= directRead {
			r.free()
			r.large = true
			if r.before != nil {
				r.before()
			}
			n, err := r.Reader.Read(p)
			if err = r.came(n, err); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (r *readAhead) ReadByte() (byte, error) {
	for len(r.data) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b, nil
}
