// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
)

// profileHeaderTimeout is how long a client of profiles may take to say what it wants.
const profileHeaderTimeout = 5 * time.Second

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
	routes := http.NewServeMux()
	routes.HandleFunc("/debug/pprof/", pprof.Index)
	routes.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: fromHere(routes), ReadHeaderTimeout: profileHeaderTimeout, ErrorLog: logger.StandardLogger(nil)}
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
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
