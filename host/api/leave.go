// SPDX-License-Identifier: MPL-2.0

package api

import (
	"cmp"
	"context"
	"net/http"
	"time"
)

// farewell is for how long connections are kept when the server leaves, so that clients
// which keep theirs learn of it from an answer. One that is closed while a request is on
// its way loses that, and nobody knows then whether a call has run.
const farewell = time.Second

// leave answers on until every client has gone, or has had its time.
func (s *Server) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.opts.farewell, farewell))
	defer cancel()
	select {
	case <-s.clients.gone():
	case <-ctx.Done():
	}
}

// parting has each answer that begins when the server leaves be the last one on its
// connection.
func (s *Server) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&partingWriter{ResponseWriter: w, leaving: s.ending}, r)
	})
}

// partingWriter looks whether the server leaves when the answer begins: the request may have
// come long before.
type partingWriter struct {
	http.ResponseWriter
	leaving <-chan struct{}
}

// WriteHeader implements http.ResponseWriter.
func (p *partingWriter) WriteHeader(status int) {
	p.tell()
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *partingWriter) Write(body []byte) (int, error) {
	p.tell()
	return p.ResponseWriter.Write(body)
}

// tell does nothing to an answer that has begun.
func (p *partingWriter) tell() {
	select {
	case <-p.leaving:
		p.Header().Set("Connection", "close")
	default:
	}
}

// Unwrap is for http.ResponseController.
func (p *partingWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// gone gives a channel that is closed once no connection is open.
func (c *connections) gone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	none := make(chan struct{})
	c.none = none
	c.tellGone()
	return none
}

// tellGone tells who waits for it. c.mu is held.
func (c *connections) tellGone() {
	if c.none != nil && c.open.Len() == 0 {
		close(c.none)
		c.none = nil
	}
}
