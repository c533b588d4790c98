// SPDX-License-Identifier: MPL-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/reattach/reattach/host/daemon"
)

// callResult is the answer to a call that did not fail.
type callResult struct {
	// Result is the method's result, an array if it has several, null for none.
	Result json.RawMessage `json:"result"`
}

// call runs a method of a plugin. The body is a JSON array with one element for
// each parameter, or an object where the host knows the parameters' names.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	if refused := s.mayCall(r); refused != nil {
		if refused.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="reattach"`)
		}
		writeProblem(w, *refused)
		return
	}
	args, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.MaxRequest))
	if err != nil {
		writeProblem(w, unreadable(err))
		return
	}
	plugin := r.PathValue("name")
	if err := s.calls.enter(plugin); err != nil {
		w.Header().Set("Retry-After", "1")
		writeProblem(w, problem{Status: http.StatusTooManyRequests, Detail: err.Error()})
		return
	}
	done := keepConnection(r)
	result, err := s.opts.Daemon.Call(r.Context(), plugin, r.PathValue("kind"), r.PathValue("method"), args,
		daemon.WhenReturned(func() { s.calls.leave(plugin) }))
	done() // the answer may be one that its client does not read
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	writeJSON(w, http.StatusOK, callResult{result})
}

// mayCall says why a call is not taken, or nil.
func (s *Server) mayCall(r *http.Request) *problem {
	if s.opts.NoCalls {
		return &problem{Status: http.StatusForbidden, Detail: "calls are turned off in this host"}
	}
	if s.token != nil {
		if err := s.token.check(r.Header.Get("Authorization")); err != nil {
			return &problem{Status: http.StatusUnauthorized, Detail: err.Error()}
		}
	}
	// A page of another origin can send any other type without asking.
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.ContentLength != 0 && (err != nil || media != "application/json") {
		return &problem{Status: http.StatusUnsupportedMediaType, Detail: "the Content-Type must be application/json"}
	}
	return nil
}

func unreadable(err error) problem {
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a call may have at most %d bytes", big.Limit)}
	}
	return problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf("the body cannot be read: %v", err)}
}
