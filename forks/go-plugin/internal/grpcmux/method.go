// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
)

// Methods are what a grpc.Server runs, as far as it has shown. With them a Server makes
// calls itself: the way through ServeHTTP takes several goroutines for each, and as much
// time as all the rest. That is right only for a grpc.Server without options that do
// something with calls: with no interceptors but these, no stats.Handler, no codec.
type Methods struct {
	// Unary and Stream are the interceptors, the outermost first.
	Unary  []grpc.UnaryServerInterceptor
	Stream []grpc.StreamServerInterceptor
	// MaxMessage bounds one message, in bytes. Zero is gRPC's own bound of 4 MiB for
	// requests alone, negative none.
	MaxMessage int
	// Codec is that of the messages; nil: that of protobuf.
	Codec encoding.CodecV2

	latest atomic.Pointer[method]
	mu     sync.Mutex
	all    map[string]*method
}

// method is one that a grpc.Server has run.
type method struct {
	name string

	// Of a unary one; nil: it has streams.
	unary   grpc.UnaryHandler
	request reflect.Type // what the pointer to a request points to

	stream grpc.StreamHandler
	server any
}

// options are those of the messages.
func (m *Methods) options() *options {
	o := &options{maxSend: math.MaxInt32, maxReceive: maxReceiveOfGRPC, codec: m.Codec}
	if o.codec == nil {
		o.codec = encoding.GetCodecV2(proto.Name)
	}
	switch {
	case m.MaxMessage > 0:
		o.maxSend, o.maxReceive = m.MaxMessage, m.MaxMessage
	case m.MaxMessage < 0:
		o.maxReceive = math.MaxInt32
	}
	return o
}

// Options have a grpc.Server show its methods. They come after all others.
func (m *Methods) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(append(slices.Clip(m.Unary), m.showUnary)...),
		grpc.ChainStreamInterceptor(append(slices.Clip(m.Stream), m.showStream)...),
	}
}

// showUnary remembers the method that is called, if its handler can be called again.
func (m *Methods) showUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if t := reflect.TypeOf(req); t != nil && m.find(info.FullMethod) == nil && t.Kind() == reflect.Pointer && isGenerated(handler) {
		run := handler
		for _, interceptor := range slices.Backward(m.Unary) {
			next := run
			run = func(ctx context.Context, req any) (any, error) { return interceptor(ctx, req, info, next) }
		}
		m.add(&method{name: info.FullMethod, unary: run, request: t.Elem()})
	}
	return handler(ctx, req)
}

func (m *Methods) showStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if m.find(info.FullMethod) == nil {
		run := handler
		for _, interceptor := range slices.Backward(m.Stream) {
			next := run
			run = func(srv any, stream grpc.ServerStream) error { return interceptor(srv, stream, info, next) }
		}
		m.add(&method{name: info.FullMethod, stream: run, server: srv})
	}
	return handler(srv, stream)
}

// isGenerated reports whether the handler of a call is one that protoc-gen-go-grpc has
// written, or a generator like it: such a one calls the method of the server that was
// registered, and holds nothing that belongs to this call alone. gRPC gives a function
// for each call, and does not say that of those that others have written.
func isGenerated(handler grpc.UnaryHandler) bool {
	name := runtime.FuncForPC(reflect.ValueOf(handler).Pointer()).Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	_, name, _ = strings.Cut(name, ".")
	return strings.HasPrefix(name, "_") && strings.HasSuffix(name, "_Handler.func1")
}

func (m *Methods) add(one *method) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = make(map[string]*method)
	}
	if len(m.all) < maxMethods { // A server that runs whatever it is asked to has as many as there are names.
		m.all[one.name] = one
	}
}

// find returns a method that was shown, or nil.
func (m *Methods) find(name string) *method { return find(m, name) }

func find[T string | []byte](m *Methods, name T) *method {
	if m == nil {
		return nil
	}
	if latest := m.latest.Load(); latest != nil && latest.name == string(name) {
		return latest
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.all[string(name)]
	if one != nil {
		m.latest.Store(one)
	}
	return one
}
