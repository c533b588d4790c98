// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Routes gives what a server with everything turned on serves, sorted.
func Routes() []string {
	s := &Server{opts: Options{Gatherer: prometheus.NewRegistry()}}
	var all []string
	for _, r := range s.routes() {
		all = append(all, r.method+" "+r.pattern)
	}
	slices.Sort(all)
	return all
}

// SlowReader is how long one write of an answer may take.
const SlowReader = slowReader

// KeepUntilTold has the server that leaves wait for its clients for as long as they take.
func (o *Options) KeepUntilTold() { o.farewell = o.DrainTimeout }

// Connections tells how many connections the server holds.
func (s *Server) Connections() int {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	return s.clients.open.Len()
}

// Rest makes it long ago that the server wrote to any of its connections.
func (s *Server) Rest() {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	for e := s.clients.open.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*connection).SetWriteDeadline(time.Now().Add(-time.Minute))
	}
}

// Busy tells how many connections are spared.
func (s *Server) Busy() (n int) {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	for e := s.clients.open.Front(); e != nil; e = e.Next() {
		if e.Value.(*connection).busy > 0 {
			n++
		}
	}
	return n
}

// Unread tells how many bytes of answers wait for their readers.
func (s *Server) Unread() int {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	return s.clients.unread
}

// Bodies tells how many bytes of bodies are held.
func (s *Server) Bodies() int64 {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	return s.clients.bodies
}

// MaxUnread is how many bytes of answers may wait for readers.
const MaxUnread = maxUnread

// Bounded is a server of one answer, with the bounds of the API.
type Bounded struct {
	Server
	Writing chan struct{} // one for each answer that is about to be written
}

// ServeBounded serves body on lis until the test ends.
func ServeBounded(t *testing.T, lis net.Listener, maximum int, body []byte) *Bounded {
	b := &Bounded{Writing: make(chan struct{})}
	b.clients.max = maximum
	server := &http.Server{
		Handler: b.clients.bound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			b.Writing <- struct{}{}
			_, _ = w.Write(body)
		})),
		ConnState: b.clients.changed, ConnContext: withConnection,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(b.clients.listen(lis))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return b
}
