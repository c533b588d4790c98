// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"encoding/binary"

	"github.com/hashicorp/go-plugin/internal/h2frames"
)

// goAwayBody is what a GOAWAY has at least: the last stream, the error code.
const goAwayBody = 8

// GoAwayWatch looks through what a plugin sends for the GOAWAY by which gRPC
// says that it is about to leave. gRPC itself tells nobody of it: what an
// application sees of a connection that was left is the same as of a broken one.
type GoAwayWatch struct {
	// Leaving is called once, for a GOAWAY without an error.
	Leaving func()

	frames h2frames.Walk
	begun  bool // the first frame is that of HTTP/2
	over   bool // nothing is looked for any more
	have   int
	body   [goAwayBody]byte
}

// See takes what was read next. It is used by one goroutine at a time.
func (w *GoAwayWatch) See(p []byte) {
	if !w.over {
		w.frames.Next(p, w.look)
	}
}

func (w *GoAwayWatch) look(piece []byte) {
	switch {
	case w.over:
	case !w.begun && w.frames.Kind() != h2frames.Settings:
		// Dial options of the host's own may put something else beneath gRPC.
		w.over = true
	case w.frames.Kind() == h2frames.GoAway:
		n := copy(w.body[w.have:], piece)
		w.have += n
		if n > 0 && w.have == goAwayBody && binary.BigEndian.Uint32(w.body[goAwayBody-4:]) == 0 {
			w.over = true
			w.Leaving()
		}
		if w.frames.Left() == 0 {
			w.have = 0
		}
	default:
		w.begun = true
	}
}
