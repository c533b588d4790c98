// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// healthServer answers HTTP probes. A probe of Kubernetes cannot speak the
// plugin's protocol, and must not need its client certificate.
type healthServer struct {
	http *http.Server
	done chan struct{}
}

// startHealth serves on addr, or nowhere if it is empty. /healthz says that the
// process runs, /readyz that it takes new sessions.
func startHealth(addr string, draining <-chan struct{}) (*healthServer, error) {
	if addr == "" {
		return nil, nil
	}
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", envHealthAddr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-draining:
			http.Error(w, "draining: calls in flight finish, new sessions are refused", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
	s := &healthServer{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(lis)
	}()
	return s, nil
}

// close ends serving. It may be called on nil.
func (s *healthServer) close() {
	if s == nil {
		return
	}
	if err := s.http.Close(); err == nil || errors.Is(err, net.ErrClosed) {
		<-s.done
	}
}
