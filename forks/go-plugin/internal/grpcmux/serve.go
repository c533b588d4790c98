// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// Server serves the gRPC calls of a session.
type Server struct {
	handler http.Handler
	ctx     context.Context
	request *http.Request // what all requests have
	enter   func() (left func())

	mu      sync.Mutex
	methods map[string]*url.URL
	latest  atomic.Pointer[url.URL] // of methods
}

// NewServer returns what serves the calls of a session whose connection is conn, and secure
// the TLS of that, which may be nil. handler is the grpc.Server. The contexts of calls have
// the values of ctx, and end with the session. enter is called before a call begins, and
// what it returns after the answer; nil means that the call may not begin.
func NewServer(ctx context.Context, handler http.Handler, conn net.Conn, secure *tls.ConnectionState, enter func() (left func())) *Server {
	return &Server{handler: handler, ctx: context.WithoutCancel(ctx), enter: enter, methods: make(map[string]*url.URL), request: &http.Request{
		Method: http.MethodPost, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{"Content-Type": {contentType("")}},
		Host:   "plugin", RemoteAddr: conn.RemoteAddr().String(), TLS: secure,
	}}
}

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
	a := newAnswer(stream)
	defer a.recycle()
	left := s.enter()
	if left == nil {
		a.end(codes.Unavailable, "the plugin takes no more calls")
		return
	}
	defer left()
	head, err := readHeader(stream.Header(), s.url)
	if err != nil {
		a.end(codes.Internal, err.Error())
		return
	}
	ctx := newCallContext(s.ctx, stream, head.timeout)
	defer ctx.release()
	request := s.request.WithContext(ctx)
	request.URL = head.url
	request.Header = s.headers(&head)
	request.Body = &ctx.body
	s.handler.ServeHTTP(a, request)
	if !a.finish() {
		if ctx.Err() == context.DeadlineExceeded {
			a.end(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
			return
		}
		_ = stream.Reset("the plugin does not answer the call")
	}
}

// maxMethods is how many names of methods are remembered.
const maxMethods = 1 << 10

// url names a method to gRPC.
func (s *Server) url(method []byte) *url.URL {
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
