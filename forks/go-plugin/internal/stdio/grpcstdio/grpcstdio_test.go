// SPDX-License-Identifier: MPL-2.0

package grpcstdio_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a plugin's output for one host.
type service struct {
	pluginpb.UnimplementedGRPCStdioServer
	sender *grpcstdio.Sender
	ending context.Context
}

func (s *service) StreamStdio(_ *emptypb.Empty, stream pluginpb.GRPCStdio_StreamStdioServer) error {
	return s.sender.Send(stream, s.ending)
}

// serve serves the output on a socket, and returns a connection to it.
func serve(t *testing.T, s *service, secure bool) *grpc.ClientConn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.ending == nil {
		s.ending = t.Context()
	}
	var options []grpc.ServerOption
	creds := insecure.NewCredentials()
	if secure {
		pair := httptest.NewTLSServer(nil)
		pair.Close()
		options = append(options, grpc.Creds(s.sender.Credentials(credentials.NewServerTLSFromCert(&pair.TLS.Certificates[0]))))
		roots := x509.NewCertPool()
		roots.AddCert(pair.Certificate())
		creds = credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"})
	} else {
		lis = s.sender.Listener(lis)
	}
	server := grpc.NewServer(options...)
	pluginpb.RegisterGRPCStdioServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(creds),
		// What the host has room for does not grow.
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

const window = 64 << 10

func newSender(hub *stdio.Hub) *grpcstdio.Sender {
	return grpcstdio.NewSender(func() stdio.Stream { return hub.Subscribe() })
}

func TestOutputArrives(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	hub.Write(stdio.Stdout, []byte("one "))
	hub.Write(stdio.Stderr, []byte("oops "))
	hub.Write(stdio.Stdout, []byte("two"))
	hub.Write(stdio.Stderr, bytes.Repeat([]byte("x"), 60<<10))
	hub.Close()
	var stdout, stderr bytes.Buffer
	r := grpcstdio.Receive(serve(t, &service{sender: newSender(hub)}, false), &stdout, &stderr, hclog.NewNullLogger())
	defer r.Close()
	<-r.Opened()
	r.Finish(t.Context())
	if got := stdout.String(); got != "one two" {
		t.Errorf("stdout = %q", got)
	}
	if want := "oops " + strings.Repeat("x", 60<<10); stderr.String() != want {
		t.Errorf("stderr has %d bytes, want %d", stderr.Len(), len(want))
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A host whose writer fails still takes the output, so that the plugin does not block.
func TestWriterFails(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	hub.Write(stdio.Stdout, []byte("lost"))
	hub.Write(stdio.Stderr, []byte("ok"))
	hub.Close()
	var stderr bytes.Buffer
	r := grpcstdio.Receive(serve(t, &service{sender: newSender(hub)}, false), failingWriter{}, &stderr, hclog.NewNullLogger())
	defer r.Close()
	<-r.Opened()
	r.Finish(t.Context())
	if stderr.String() != "ok" {
		t.Errorf("stderr = %q", stderr.String())
	}
}

// The end of a session sends what was written before it, and waits for that.
func TestSessionEnds(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	ending, end := context.WithCancel(t.Context())
	defer end()
	sender := newSender(hub)
	var stdout bytes.Buffer
	r := grpcstdio.Receive(serve(t, &service{sender: sender, ending: ending}, false), &stdout, nil, hclog.NewNullLogger())
	defer r.Close()
	<-r.Opened()
	hub.Write(stdio.Stdout, []byte("the last words"))
	end()
	sender.AwaitSent()
	r.Finish(t.Context())
	if stdout.String() != "the last words" {
		t.Errorf("stdout = %q", stdout.String())
	}
}

// An answer stays behind output that gRPC has taken, as long as its host has no room
// for it.
func TestAnswersStayBehindOutput(t *testing.T) {
	for name, secure := range map[string]bool{"plaintext": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			hub := stdio.NewHub(1 << 20)
			subscribed := make(chan stdio.Stream, 1)
			sender := grpcstdio.NewSender(func() stdio.Stream {
				sub := hub.Subscribe()
				subscribed <- sub
				return sub
			})
			conn := serve(t, &service{sender: sender}, secure)
			stream, err := pluginpb.NewGRPCStdioClient(conn).StreamStdio(t.Context(), &emptypb.Empty{})
			if err != nil {
				t.Fatal(err)
			}
			sub := <-subscribed
			const piece = window * 3 / 4
			for range 2 {
				hub.Write(stdio.Stdout, make([]byte, piece))
			}
			// gRPC takes both pieces, and sends one of them and a part of the other.
			if err := sub.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if sender.Settled() {
				t.Error("an answer can leave before the output that the host has no room for")
			}
			for range 2 {
				if msg, err := stream.Recv(); err != nil || len(msg.GetData()) != piece {
					t.Fatalf("%d bytes came, %v", len(msg.GetData()), err)
				}
			}
			sender.Wait(t.Context())
			if !sender.Settled() {
				t.Error("an answer waits for output that has come")
			}
		})
	}
}
