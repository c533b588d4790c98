// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"fmt"
	"net/rpc"
)

// errDecoderEnded ends a session whose reader was ended by a type that decodes
// itself.
var errDecoderEnded = errors.New("an argument's own decoder ended the goroutine that reads the session")

// serve runs the request at hand, and answers it also when its method does not
// return.
func (w *worker) serve(handler Handler) {
	returned := false
	defer w.ended(&returned)
	_ = handler.ServeRequest(w) // An error is in the answer already.
	returned = true
}

// ended is deferred by serve. It starts no reader: if the method has ended the
// goroutine, the session's Watchdog does.
func (w *worker) ended(returned *bool) {
	p := w.plugin
	if w.state.Load() == replaced {
		defer p.unregister(w)
	}
	if *returned || p.config.Panicked == nil {
		return
	}
	text := p.config.Panicked(w.method.name, recover())
	if w.state.Load() == reading {
		// Whoever waits for the session's end finds its calls over.
		if !w.answered {
			w.ends()
		}
		p.fail(errDecoderEnded)
		return
	}
	if !w.answered {
		_ = w.WriteResponse(&rpc.Response{ServiceMethod: w.method.name, Seq: w.message.number, Error: text}, nil)
	}
}

// CannotEncode is the error of a call whose answer gob cannot encode.
func CannotEncode(err error) string { return fmt.Sprintf("the answer cannot be encoded: %v", err) }
