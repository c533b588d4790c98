// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// Server serves the gRPC calls of a session.
type Server struct {
	handler http.Handler
	ctx     context.Context
	request *http.Request // what all requests have
	enter   func() (left func())
	shown   *Methods        // nil: handler makes all calls
	options *options        // of calls of shown methods
	plain   context.Context // of such a call without metadata

	mu      sync.Mutex
	methods map[string]*url.URL
	latest  atomic.Pointer[url.URL] // of methods
}

// NewServer returns what serves the calls of a session whose connection is conn, and secure
// the TLS of that, which may be nil. handler is the grpc.Server. The contexts of calls have
// the values of ctx, and end with the session. enter is called before a call begins, and
// what it returns after the answer; nil means that the call may not begin. shown are the
// methods that the grpc.Server has shown; nil leaves all calls to that.
func NewServer(ctx context.Context, handler http.Handler, conn net.Conn, secure *tls.ConnectionState, shown *Methods, enter func() (left func())) *Server {
	s := &Server{handler: handler, ctx: context.WithoutCancel(ctx), enter: enter, request: &http.Request{
		Method: http.MethodPost, Proto: "HTTP/2.0", ProtoMajor: 2, Header: ownHeader,
		Host: authority, RemoteAddr: conn.RemoteAddr().String(), TLS: secure,
	}}
	if shown != nil {
		s.shown, s.options = shown, shown.options()
		s.plain = metadata.NewIncomingContext(s.ctx, ownMetadata) // which gives copies of it
	}
	return s
}

// authority is what methods are told that their caller has called the plugin.
const authority = "plugin"

// own are the metadata that each of these calls has beside its caller's.
func own() metadata.MD {
	return metadata.MD{"content-type": {contentType("")}, ":authority": {authority}}
}

// ownHeader and ownMetadata are what calls have of which nothing else is said. Nobody changes
// them.
var (
	ownHeader   = http.Header{"Content-Type": {contentType("")}}
	ownMetadata = own()
)

// Accept serves a call in the background. It is for mux.Acceptors.
func (s *Server) Accept(stream *mux.Stream) error {
	stream.Take()
	go s.serve(stream)
	return nil
}

// Serve serves a call, and returns when it was answered.
func (s *Server) Serve(stream *mux.Stream) {
	stream.Take()
	s.serve(stream)
}

func (s *Server) serve(stream *mux.Stream) {
	defer stream.Close()
	left := s.enter()
	if left == nil {
		refuse(stream, "the plugin takes no more calls")
		return
	}
	defer left()
	head, err := readHeader(stream.Header())
	if err != nil {
		end(stream, codes.Internal, err.Error())
		return
	}
	if m := s.direct(&head); m != nil {
		m.run(stream, s.contextOf(&head), head.timeout, s.options)
		return
	}
	s.serveHTTP(stream, &head)
}

// serveHTTP leaves a call to the grpc.Server.
func (s *Server) serveHTTP(stream *mux.Stream, head *header) {
	a := newAnswer(stream)
	defer a.recycle()
	ctx := &callContext{body: &body{stream: stream}}
	ctx.init(s.ctx, stream, head.timeout)
	defer ctx.release()
	request := s.request.WithContext(ctx)
	request.URL = s.url(head.method)
	request.Header = s.headers(head)
	request.Body = ctx.body
	s.handler.ServeHTTP(a, request)
	if !a.finish() {
		if ctx.Err() == context.DeadlineExceeded {
			end(stream, codes.DeadlineExceeded, context.DeadlineExceeded.Error())
			return
		}
		_ = stream.Reset("the plugin does not answer the call")
	}
}

// direct returns the method of a call that can be made without the grpc.Server, or nil.
func (s *Server) direct(head *header) *method {
	if s.shown == nil || head.compressor != "" || head.subtype != "" && head.subtype != proto.Name {
		return nil
	}
	return find(s.shown, head.method)
}

// contextOf returns what the context of such a call is made of.
func (s *Server) contextOf(head *header) context.Context {
	if len(head.metadata) == 0 && head.subtype == "" {
		return s.plain
	}
	md := own()
	md["content-type"][0] = contentType(head.subtype)
	for key, values := range head.metadata {
		if !isReserved(key) && !strings.HasPrefix(key, ":") {
			md[key] = values
		}
	}
	return metadata.NewIncomingContext(s.ctx, md)
}

// maxMethods is how many names of methods are remembered.
const maxMethods = 1 << 10

// url names a method to gRPC. Where methods are shown, few are called so more than once.
func (s *Server) url(method []byte) *url.URL {
	if s.shown != nil {
		return &url.URL{Path: string(method)}
	}
	if last := s.latest.Load(); last != nil && last.Path == string(method) {
		return last
	}
	u := s.known(method)
	s.latest.Store(u)
	return u
}

func (s *Server) known(method []byte) *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.methods[string(method)]; known != nil {
		return known
	}
	u := &url.URL{Path: string(method)}
	if s.methods == nil {
		s.methods = make(map[string]*url.URL)
	}
	if len(s.methods) < maxMethods {
		s.methods[u.Path] = u
	}
	return u
}

// headers are those of HTTP/2.
func (s *Server) headers(head *header) http.Header {
	if head.subtype == "" && head.compressor == "" && len(head.metadata) == 0 {
		return s.request.Header
	}
	h := make(http.Header, 2+len(head.metadata))
	for key, values := range head.metadata {
		if isBinary(key) {
			for i, value := range values {
				values[i] = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
		}
		h[key] = values // gRPC makes its keys lower-case anyway
	}
	h["Content-Type"] = []string{contentType(head.subtype)}
	if head.compressor != "" {
		h["Grpc-Encoding"] = []string{head.compressor}
	}
	return h
}

func contentType(subtype string) string {
	if subtype == "" {
		return "application/grpc"
	}
	return "application/grpc+" + subtype
}
