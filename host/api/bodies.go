// SPDX-License-Identifier: MPL-2.0

package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// errBodies is why a body is not taken.
var errBodies = errors.New("the bodies of calls in flight are as many bytes as this host holds")

// smallBody is how many bytes of a body do not count: there is always room for a small
// one, as there is a bound on connections.
const smallBody = 4 << 10

// body is the body of a call, which counts among those of all connections until it is
// released.
type body struct {
	from *connection
	read int64 // bytes so far

	// What follows is guarded by from.all.mu.
	counted int64 // bytes beyond smallBody
	dropped bool  // for others to have room: its connection is closed
}

// readBody reads the body of a call, of at most limit bytes. Where there are too many
// bytes of bodies, the connection that is still sending one and was in use the longest
// time ago is closed; if there is none, the error is errBodies. Without an error the
// body must be released.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *body, error) {
	b := &body{from: connectionOf(r)}
	raw, err := io.ReadAll(&bodyReader{http.MaxBytesReader(w, r.Body, limit), b})
	if !b.whole() && err == nil {
		err = errBodies
	}
	if err != nil {
		b.release()
		return nil, nil, err
	}
	return raw, b, nil
}

// bodyReader counts what is read of a body.
type bodyReader struct {
	io.Reader
	counted *body
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if !r.counted.grow(n) {
		return 0, errBodies
	}
	return n, err
}

// grow counts n more bytes. It reports whether there is room for them.
func (b *body) grow(n int) bool {
	b.read += int64(n)
	all := b.from.all
	all.mu.Lock()
	if b.dropped {
		all.mu.Unlock()
		return false
	}
	b.from.body = b
	more := max(b.read-smallBody, 0) - b.counted
	b.counted += more
	all.bodies += more
	var victim *connection
	full := more > 0 && all.bodies > all.maxBodies
	if full {
		victim = all.oldest(func(o *connection) bool { return o != b.from && o.body != nil && o.body.counted > 0 })
	}
	if victim != nil {
		victim.body.dropped = true
		victim.body.give()
	}
	all.mu.Unlock()
	if victim != nil {
		_ = victim.Close() // its read ends
	}
	return !full || victim != nil
}

// whole notes that no more is read, so that the connection is not closed for others to
// have room. It reports false if it was.
func (b *body) whole() bool {
	b.from.all.mu.Lock()
	defer b.from.all.mu.Unlock()
	b.from.body = nil
	return !b.dropped
}

// release gives the body's bytes back.
func (b *body) release() {
	b.from.all.mu.Lock()
	defer b.from.all.mu.Unlock()
	b.give()
}

// give gives the bytes back, once. from.all.mu is held.
func (b *body) give() {
	b.from.all.bodies -= b.counted
	b.counted = 0
}

// unreadable says why a call's body was not taken.
func unreadable(err error) problem {
	big, tooBig := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooBig:
		return problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a call may have at most %d bytes", big.Limit)}
	case errors.Is(err, errBodies):
		return problem{Status: http.StatusTooManyRequests, Detail: err.Error()}
	}
	return problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf("the body cannot be read: %v", err)}
}
