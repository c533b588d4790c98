// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// profileHeaderTimeout is how long a client of profiles may take to say what it wants.
	profileHeaderTimeout = 5 * time.Second
	// profileFor is how long the processor is watched if a request does not say, and
	// maxProfile at most.
	profileFor, maxProfile = 30 * time.Second, 5 * time.Minute
)

// serveProfiles serves Go's profiles at the address that the environment names, until
// stop is called. They show what is in memory, so nothing but this machine may ask.
func (c *config) serveProfiles(logger hclog.Logger) (stop func(), err error) {
	if c.Pprof == "" {
		return func() {}, nil
	}
	if !onLoopback(c.Pprof) {
		return nil, fmt.Errorf("%s=%q: want an address of loopback, such as 127.0.0.1:6060: profiles show what is in memory", c.own("PPROF"), c.Pprof)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", c.Pprof)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", c.own("PPROF"), c.Pprof, err)
	}
	server := &http.Server{Handler: fromHere(profiles()), ReadHeaderTimeout: profileHeaderTimeout, ErrorLog: logger.StandardLogger(nil)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends with Close alone
	}()
	logger.Info("serving profiles", "address", listener.Addr().String())
	return func() {
		_ = server.Close()
		<-done
	}, nil
}

// profiles serves what go tool pprof and go tool trace ask for, at the paths that they
// know. Package net/http/pprof has it as well, and hangs it into http.DefaultServeMux of
// every program that links it, whatever this one's environment says.
func profiles() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /debug/pprof/{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range pprof.Profiles() {
			_, _ = fmt.Fprintf(w, "%s %d\n", p.Name(), p.Count())
		}
		_, _ = fmt.Fprintln(w, "profile?seconds=30\ntrace?seconds=1")
	})
	routes.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.Error(w, "no such profile; /debug/pprof/ has their names", http.StatusNotFound)
			return
		}
		debug, _ := strconv.Atoi(r.URL.Query().Get("debug")) // 0 is the form for programs
		_ = p.WriteTo(w, debug)
	})
	routes.HandleFunc("GET /debug/pprof/profile", watched(pprof.StartCPUProfile, pprof.StopCPUProfile))
	routes.HandleFunc("GET /debug/pprof/trace", watched(trace.Start, trace.Stop))
	return routes
}

// watched serves what is written between start and stop, for as many seconds as asked.
func watched(start func(io.Writer) error, stop func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := profileFor
		if text := r.URL.Query().Get("seconds"); text != "" {
			n, err := strconv.Atoi(text)
			if d = time.Duration(n) * time.Second; err != nil || d <= 0 || d > maxProfile {
				http.Error(w, fmt.Sprintf("seconds=%s: want 1 to %d", text, int(maxProfile.Seconds())), http.StatusBadRequest)
				return
			}
		}
		if err := start(w); err != nil {
			http.Error(w, err.Error(), http.StatusConflict) // another one is being made
			return
		}
		defer stop()
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

// fromHere refuses requests for another host: a page in a browser of this machine may
// have its name lead here.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onLoopback(net.JoinHostPort(hostOf(r.Host), "0")) {
			http.Error(w, "profiles are for requests to a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// onLoopback tells whether a host:port means this machine alone.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
