// SPDX-License-Identifier: MPL-2.0

package dial

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"golang.org/x/net/http2"

	"github.com/hashicorp/go-plugin/internal/h2frames"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

const (
	// goAwayHead is what a GOAWAY has before what it says for people: the last stream and
	// the code (RFC 9113, section 6.8).
	goAwayHead = 8
	// maxGoAway is how many bytes of a GOAWAY are kept.
	maxGoAway = 1 << 10
)

// http2Watch is what is known of HTTP/2 on a connection.
type http2Watch struct {
	leaves func()

	// These are the reader's.
	frames h2frames.Walk // of what was read
	goAway []byte        // what has come of the one at hand

	leaving atomic.Bool // a GOAWAY without an error has come

	// gaveUp is set when the other side has ended the connection with an error. It closes it
	// then (RFC 9113, section 5.4.1), and has not said that it leaves.
	gaveUp atomic.Pointer[gaveUpError]
}

// gaveUpError is a GOAWAY with an error.
type gaveUpError struct {
	code http2.ErrCode
	text string // fit to be shown
}

func (e *gaveUpError) Error() string {
	text := fmt.Sprintf("the plugin has ended the connection with the HTTP/2 error %v", e.code)
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// look looks for a GOAWAY in what was read next.
func (w *http2Watch) look(read []byte) {
	w.frames.Next(read, func(piece []byte) {
		if w.frames.Kind() != h2frames.GoAway || w.frames.Stream() != 0 {
			return
		}
		w.goAway = append(w.goAway, piece[:min(len(piece), maxGoAway-len(w.goAway))]...)
		if w.frames.Left() == 0 {
			w.goesAway(w.goAway)
			w.goAway = nil
		}
	})
}

// goesAway takes the payload of a GOAWAY. One that is too short gRPC does not take for any.
func (w *http2Watch) goesAway(payload []byte) {
	if len(payload) < goAwayHead {
		return
	}
	code := http2.ErrCode(binary.BigEndian.Uint32(payload[4:]))
	if code == http2.ErrCodeNo {
		w.leaving.Store(true)
		w.leaves()
		return
	}
	w.gaveUp.Store(&gaveUpError{code, peererr.Text(string(payload[goAwayHead:]))})
}

// end is why the other side has ended the connection, or nil.
func (w *http2Watch) end() error {
	if w == nil {
		return nil
	}
	if e := w.gaveUp.Load(); e != nil {
		return e
	}
	return nil
}

// IsLeaving reports whether the other side has said by a GOAWAY of HTTP/2 that it takes no more
// streams: those that there are go on.
func (c *Conn) IsLeaving() bool { return c.http2 != nil && c.http2.leaving.Load() }
