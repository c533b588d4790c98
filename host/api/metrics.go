// SPDX-License-Identifier: MPL-2.0

package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// maxGather is how many requests of /metrics are worked on at once; others wait.
	maxGather = 4
	// gatherWait is how long they wait.
	gatherWait = 5 * time.Second
)

// gatherer adds the server's own metrics to those it was given.
func (s *Server) gatherer() prometheus.Gatherer {
	if s.token == nil {
		return s.opts.Gatherer
	}
	own := prometheus.NewRegistry()
	own.MustRegister(s.token.usable())
	return prometheus.Gatherers{s.opts.Gatherer, own}
}

// metrics serves what is gathered. The whole answer is made before any of it is
// written, so that clients that do not read hold up nobody's metrics.
func metrics(from prometheus.Gatherer) http.HandlerFunc {
	handler := promhttp.HandlerFor(from, promhttp.HandlerOpts{EnableOpenMetrics: true})
	working := make(chan struct{}, maxGather)
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), gatherWait)
		defer cancel()
		select {
		case working <- struct{}{}:
		case <-ctx.Done():
			w.Header().Set("Retry-After", "1")
			writeProblem(w, problem{Status: http.StatusServiceUnavailable, Detail: "too many requests for metrics wait already"})
			return
		}
		whole := wholeAnswer{header: w.Header(), status: http.StatusOK}
		func() {
			defer func() { <-working }()
			handler.ServeHTTP(&whole, r)
		}()
		w.WriteHeader(whole.status)
		_, _ = w.Write(whole.body.Bytes())
	}
}

// wholeAnswer is a ResponseWriter that keeps what it is given.
type wholeAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *wholeAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *wholeAnswer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *wholeAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }
