// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/tlsfile"
)

const (
	// maxProbes is how many connections of probes there may be at once.
	maxProbes = 64
	// probeTimeout bounds each direction of a probe.
	probeTimeout = 5 * time.Second
)

// What /metrics has, in Prometheus' text format: for every plugin, and for one with a
// certificate.
const (
	panicsText = `# HELP reattach_plugin_method_panics_total Methods that have panicked. Their callers got an error.
# TYPE reattach_plugin_method_panics_total counter
reattach_plugin_method_panics_total %d
`
	certificateText = `# HELP reattach_plugin_certificate_not_before_timestamp_seconds When the certificate began of which the next metric tells.
# TYPE reattach_plugin_certificate_not_before_timestamp_seconds gauge
reattach_plugin_certificate_not_before_timestamp_seconds %d
# HELP reattach_plugin_certificate_not_after_timestamp_seconds When the certificate that the plugin shows ends, or the first of its chain.
# TYPE reattach_plugin_certificate_not_after_timestamp_seconds gauge
reattach_plugin_certificate_not_after_timestamp_seconds %d
`
)

// Measured is what a plugin's metrics are made of.
type Measured struct {
	// Panics counts methods that have panicked.
	Panics func() uint64
	// TLS is what the plugin listens with; nil for plain TCP.
	TLS *tls.Config
}

func (m Measured) write(w io.Writer) {
	fmt.Fprintf(w, panicsText, m.Panics())
	if first := tlsfile.FirstToEnd(m.TLS); first != nil {
		fmt.Fprintf(w, certificateText, first.NotBefore.Unix(), first.NotAfter.Unix())
	}
}

// Health answers HTTP probes, one for each connection, so that a client which
// asks on and reads nothing holds a connection for a short time only. Beyond maxProbes
// an old connection goes: the next probe of the kubelet always gets in. A probe of
// Kubernetes cannot speak the plugin's protocol, and must not need its client
// certificate.
type Health struct {
	http   *http.Server
	addr   net.Addr
	probes *connBound
	done   chan struct{}
}

// StartHealth serves on addr, or nowhere if it is empty. /healthz says that the
// process runs, /readyz that it takes new sessions, /metrics what was measured. logger takes what the server cannot do. The caller closes it.
func StartHealth(addr string, draining <-chan struct{}, measured Measured, logger hclog.Logger) (*Health, error) {
	if addr == "" {
		return nil, nil
	}
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", env.HealthAddr, err)
	}
	s := &Health{
		http: newHealthHTTP(draining, measured), addr: lis.Addr(), probes: newConnBound(maxProbes), done: make(chan struct{}),
	}
	s.http.ErrorLog = logger.Named("health").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(&probeListener{lis, s.probes})
	}()
	return s, nil
}

// newHealthHTTP answers one request of each connection.
func newHealthHTTP(draining <-chan struct{}, measured Measured) *http.Server {
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
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		measured.write(w)
	})
	s := &http.Server{Handler: mux, ReadTimeout: probeTimeout, WriteTimeout: probeTimeout, MaxHeaderBytes: 8 << 10}
	s.SetKeepAlivesEnabled(false)
	return s
}

// Close ends serving. It may be called on nil.
func (s *Health) Close() {
	if s == nil {
		return
	}
	if err := s.http.Close(); err == nil || errors.Is(err, net.ErrClosed) {
		<-s.done
	}
}

// probeListener bounds the connections.
type probeListener struct {
	net.Listener
	bound *connBound
}

// Accept implements net.Listener.
func (l *probeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &probeConn{l.bound.enter(conn)}, nil
}

type probeConn struct{ *pendingConn }

// Close implements net.Conn.
func (c *probeConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
