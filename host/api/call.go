// SPDX-License-Identifier: MPL-2.0

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/host/daemon"
)

// call runs a method of a plugin. The body is a JSON array with one element for
// each parameter, or an object where the host knows the parameters' names.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	if refused := s.mayCall(r); refused != nil {
		writeRefusal(w, *refused)
		return
	}
	args, body, err := readBody(w, r, s.opts.MaxRequest)
	if err != nil {
		writeRefusal(w, unreadable(err))
		return
	}
	plugin := r.PathValue("name")
	size := body.counted // which changes no more
	if err := s.calls.enter(plugin, size); err != nil {
		body.release()
		writeRefusal(w, problem{Status: http.StatusTooManyRequests, Detail: err.Error()})
		return
	}
	done := connectionOf(r).keep()
	result, err := s.opts.Daemon.Call(traced(r), plugin, r.PathValue("kind"), r.PathValue("method"), args,
		daemon.WhenReturned(func() {
			body.release()
			s.calls.leave(plugin, size)
		}))
	done() // the answer may be one that its client does not read
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	writeResult(w, result)
}

// maxTrace bounds a header that is passed on to a plugin, in bytes.
const maxTrace = 4 << 10

// traced gives the context of a request with what its headers say of the trace that it
// belongs to, for the plugin. One that gRPC could not carry is left out.
func traced(r *http.Request) context.Context {
	ctx := r.Context()
	for _, name := range []string{"traceparent", "tracestate", "baggage"} {
		value := strings.Join(r.Header.Values(name), ",")
		unfit := strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
		if value != "" && len(value) <= maxTrace && !unfit {
			ctx = metadata.AppendToOutgoingContext(ctx, name, value)
		}
	}
	return ctx
}

// writeResult answers a call that did not fail: the member result has the method's
// result, an array if it has several, null for none. It may be as large as a message of a
// plugin, so no copy is made of it: it is JSON already.
func writeResult(w http.ResponseWriter, result json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	for _, part := range [][]byte{[]byte(`{"result":`), printable.JSON(result), []byte("}\n")} {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// writeRefusal answers a call that was not begun.
func writeRefusal(w http.ResponseWriter, p problem) {
	switch p.Status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="reattach"`)
	case http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", "identity")
	}
	writeProblem(w, p)
}

// mayAct says why nothing is done for whoever asks, or nil.
func (s *Server) mayAct(r *http.Request) *problem {
	if s.token == nil {
		return nil
	}
	if err := s.token.check(r.Header.Get("Authorization")); err != nil {
		return &problem{Status: http.StatusUnauthorized, Detail: err.Error()}
	}
	return nil
}

// mayCall says why a call is not taken, or nil.
func (s *Server) mayCall(r *http.Request) *problem {
	if s.opts.NoCalls {
		return &problem{Status: http.StatusForbidden, Detail: "calls are turned off in this host"}
	}
	if refused := s.mayAct(r); refused != nil {
		return refused
	}
	// A page of another origin can send any other type without asking.
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.ContentLength != 0 && (err != nil || media != "application/json") {
		return &problem{Status: http.StatusUnsupportedMediaType, Detail: "the Content-Type must be application/json"}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return &problem{Status: http.StatusUnsupportedMediaType, Detail: fmt.Sprintf("the body is encoded as %s: send the JSON as it is", printable.Line(coding))}
	}
	return nil
}
