// SPDX-License-Identifier: MPL-2.0

// Package api serves a daemon over HTTP: its health and metrics, how its plugins
// fare, what changes, and calls to their methods. openapi.json describes it, and is
// served with it, as is a page for people.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/page"
)

// Options configures a Server. Daemon and Address must be set. Bounds and times must be
// above zero: [DefaultOptions] gives them, and the fields name what it gives.
type Options struct {
	// Daemon is what is served.
	Daemon *daemon.Daemon
	// Program and Build are the program's name and what it was built from, for people.
	Program, Build string
	// Address is the host:port to listen on; port 0 is any free one. [NewHandler] takes
	// none.
	Address string
	// TokenFile holds the bearer token that calls must carry. It is read anew when
	// it changes. Without it, calls are taken on a loopback address only.
	TokenFile string
	// NoCalls turns calls off, so that any address will do without a token.
	NoCalls bool
	// OpenCalls is for [NewHandler] alone: calls need no token, because whoever serves
	// the handler has checked who asks.
	OpenCalls bool
	// Probe walks the way to an endpoint of a plugin, and tells each step. Several
	// goroutines may call it at once. Nil leaves probes out.
	Probe func(ctx context.Context, plugin string, e daemon.Endpoint, tell func(doctor.Step)) error
	// Gatherer gives what /metrics serves. Nil leaves /metrics out.
	Gatherer prometheus.Gatherer
	// MaxRequest is the largest body of a call, in bytes: 1 MiB.
	MaxRequest int64
	// MaxBodies is how many bytes of bodies may be held at once (32 MiB), until their methods have
	// returned, and four times as many as those of one plugin may have. The first 4 KiB
	// of each do not count. Beyond it the connection that is still sending one, and was
	// in use the longest time ago, is closed; if there is none, the call is answered with
	// 429. A body is there some six times while it is decoded and sent.
	MaxBodies int64
	// MaxCalls is how many calls may be in flight at once (256), and MaxPluginCalls how
	// many of them of one plugin (64). A call counts until its method has returned, which may be
	// after its client has left.
	MaxCalls, MaxPluginCalls int
	// MaxStreams is how many readers of events there may be at once: 32.
	MaxStreams int
	// MaxConnections is how many connections there may be at once: 512, and more than MaxCalls and
	// MaxStreams together. Beyond it, the one that has been without a new request for the longest
	// time is closed, but none whose call is at work, and no event stream.
	MaxConnections int
	// Heartbeat is the pause after which an event stream says that it is alive: 15 s.
	Heartbeat time.Duration
	// DrainTimeout bounds how long requests may take to finish at the end: 10 s.
	DrainTimeout time.Duration
	// Logger takes what fails. Nil discards it.
	Logger hclog.Logger

	farewell time.Duration // in the place of the constant, for tests
}

// DefaultOptions gives the bounds that suit most: those that the fields name.
func DefaultOptions() Options {
	return Options{
		MaxRequest: 1 << 20, MaxBodies: 32 << 20, MaxCalls: 256, MaxPluginCalls: 64, MaxStreams: 32, MaxConnections: 512,
		Heartbeat: 15 * time.Second, DrainTimeout: 10 * time.Second,
	}
}

func (o *Options) validate() error {
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	switch {
	case o.Daemon == nil:
		return errors.New("option Daemon is not set")
	case o.MaxRequest <= 0 || o.MaxCalls <= 0 || o.MaxPluginCalls <= 0 || o.MaxStreams <= 0:
		return fmt.Errorf("options MaxRequest %d, MaxCalls %d, MaxPluginCalls %d, MaxStreams %d: each must be above zero",
			o.MaxRequest, o.MaxCalls, o.MaxPluginCalls, o.MaxStreams)
	case o.MaxBodies < o.MaxRequest:
		return fmt.Errorf("option MaxBodies %d: it must be at least MaxRequest, which is %d", o.MaxBodies, o.MaxRequest)
	case o.MaxConnections <= o.MaxCalls+o.MaxStreams:
		return fmt.Errorf("option MaxConnections %d: it must be above MaxCalls and MaxStreams together, which are %d",
			o.MaxConnections, o.MaxCalls+o.MaxStreams)
	case o.Heartbeat <= 0 || o.DrainTimeout <= 0:
		return fmt.Errorf("options Heartbeat %s, DrainTimeout %s: each must be above zero", o.Heartbeat, o.DrainTimeout)
	}
	return nil
}

// Server is the API on one listener.
type Server struct {
	opts     Options
	started  time.Time
	listener net.Listener
	loopback bool
	token    *token
	clients  connections
	calls    *shares
	streams  chan struct{} // has a place for each event stream
	probes   chan struct{} // has a place for each walk
	ending   chan struct{} // closed when Run was told to end
}

// New listens. It fails for an address that cannot be bound, a token that cannot be
// read, and for calls on an address that others can reach without a token. Run must
// follow, or Close.
func New(o Options) (*Server, error) {
	if o.Address == "" {
		return nil, errors.New("make HTTP API: option Address is empty: use host:port, or 127.0.0.1:0 for any free port")
	}
	if o.OpenCalls {
		return nil, errors.New("make HTTP API: option OpenCalls is set, which is for NewHandler")
	}
	s, err := newServer(o)
	if err != nil {
		return nil, fmt.Errorf("make HTTP API: %w", err)
	}
	if s.listener, err = net.Listen("tcp", o.Address); err != nil {
		return nil, fmt.Errorf("make HTTP API: listen at %s: %w", o.Address, err)
	}
	s.loopback = s.listener.Addr().(*net.TCPAddr).IP.IsLoopback()
	if !s.loopback && s.token == nil && !o.NoCalls {
		_ = s.listener.Close()
		return nil, fmt.Errorf("make HTTP API: %s can be reached from elsewhere, and calls need a token there: "+
			"name a token file, or turn calls off, or listen on 127.0.0.1", s.listener.Addr())
	}
	return s, nil
}

func newServer(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, clients: connections{max: o.MaxConnections, maxBodies: o.MaxBodies}, calls: newShares(o.MaxCalls, o.MaxPluginCalls, o.MaxBodies/4),
		streams: make(chan struct{}, o.MaxStreams), ending: make(chan struct{}), started: time.Now(),
		probes: make(chan struct{}, maxProbes),
	}
	if o.TokenFile == "" {
		return s, nil
	}
	var err error
	s.token, err = newToken(o.TokenFile, o.Logger)
	return s, err
}

// NewHandler gives the API for a server and a mux of one's own, which may mount it
// beneath a path with [http.StripPrefix]. Calls need o.TokenFile, unless o.OpenCalls
// says otherwise or o.NoCalls takes none.
//
// What bounds connections is the server's: MaxConnections has no effect, a body that
// finds no room is refused, and the server sets its own deadlines and MaxHeaderBytes. It
// also has to refuse names of hosts that are not its own, where it is reached by
// loopback: see "DNS rebinding". Event streams end with their requests, and with the
// daemon; http.Server's Shutdown waits for them.
func NewHandler(o Options) (http.Handler, error) {
	switch {
	case o.Address != "":
		return nil, errors.New("make handler of HTTP API: option Address is set, and a handler does not listen")
	case o.TokenFile == "" && !o.NoCalls && !o.OpenCalls:
		return nil, errors.New("make handler of HTTP API: calls need a token: name a token file, turn calls off, " +
			"or set OpenCalls if your server checks who asks")
	}
	s, err := newServer(o)
	if err != nil {
		return nil, fmt.Errorf("make handler of HTTP API: %w", err)
	}
	return s.handler(), nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives up a server that was not run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends. Then it ends the event streams, for a second at most makes
// each answer the last one on its connection, takes no new requests and waits for those
// in flight, for at most DrainTimeout in all. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnState:         s.clients.changed,
		ConnContext:       withConnection,
		ErrorLog:          s.opts.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.clients.listen(s.listener)) }()
	select {
	case err := <-served:
		close(s.ending)
		return fmt.Errorf("serve HTTP API at %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	close(s.ending)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.DrainTimeout)
	defer cancel()
	s.leave(within)
	err := server.Shutdown(within)
	if err != nil {
		_ = server.Close()
		err = fmt.Errorf("drain HTTP API: requests were cut off after %s: %w", s.opts.DrainTimeout, err)
	}
	<-served
	return err
}

// handler routes requests, and turns away those that a web page of another origin
// made the user's browser send.
func (s *Server) handler() http.Handler {
	mux, paths := http.NewServeMux(), http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.method+" "+r.pattern, r.serve)
		paths.HandleFunc(r.pattern, wrongMethod(r.method))
	}
	for _, f := range page.Files() {
		mux.Handle(http.MethodGet+" "+f.Pattern, f)
		paths.HandleFunc(f.Pattern, wrongMethod(http.MethodGet))
	}
	paths.HandleFunc("/", notFound)
	mux.Handle("/", paths)
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem{Status: http.StatusForbidden, Detail: "the request comes from a page of another origin"})
	}))
	return s.clients.bound(s.parting(s.knownHost(withoutSlash(guard.Handler(mux)))))
}

// withoutSlash takes a path with a slash at its end for the same without.
func withoutSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.EscapedPath(); path != "/" && strings.HasSuffix(path, "/") {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost refuses names of hosts that a loopback listener cannot have: a web page
// reaches it under such a name when its own name is made to resolve to 127.0.0.1.
func (s *Server) knownHost(next http.Handler) http.Handler {
	if !s.loopback {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			name = strings.Trim(r.Host, "[]")
		}
		if name != "localhost" && net.ParseIP(name) == nil {
			writeProblem(w, problem{Status: http.StatusForbidden, Detail: fmt.Sprintf("this is not %q", name)})
			return
		}
		next.ServeHTTP(w, r)
	})
}
