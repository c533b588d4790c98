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

// parting has each answer of a server that leaves be the last one on its connection.
func (s *Server) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.ending:
			w.Header().Set("Connection", "close")
		default:
		}
		next.ServeHTTP(w, r)
	})
}

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
