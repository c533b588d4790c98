// SPDX-License-Identifier: MPL-2.0

package idleread_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

const size = 32 << 10

// countingPool knows how many of its buffers are out, and tells when one comes
// back, to whoever listens.
type countingPool struct {
	out, taken atomic.Int64
	back       chan struct{}
}

func (p *countingPool) Get(n int) *[]byte {
	p.out.Add(1)
	p.taken.Add(1)
	b := make([]byte, n)
	return &b
}

func (p *countingPool) Put(*[]byte) {
	p.out.Add(-1)
	if p.back != nil {
		p.back <- struct{}{}
	}
}

// readAll reads until there is an error, as gRPC does.
func readAll(r *idleread.Reader, pool *countingPool, size int) ([]byte, error) {
	var all []byte
	for {
		buffer, n, err := r.ReadOnReady(size, pool)
		if (buffer == nil) != (n == 0) {
			return all, errors.New("a buffer without bytes, or bytes without a buffer")
		}
		if n > 0 {
			all = append(all, (*buffer)[:n]...)
			pool.Put(buffer)
		}
		if err != nil {
			return all, err
		}
	}
}

func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	return streamPair(t, "tcp", "127.0.0.1:0")
}

func streamPair(t *testing.T, network, address string) (client, server net.Conn) {
	t.Helper()
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if client, err = net.Dial(network, lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return client, server
}

// wrapped hides what a connection is.
type wrapped struct{ net.Conn }

func pairs(t *testing.T) map[string]func(t *testing.T) (client, server net.Conn) {
	secure := httptest.NewTLSServer(nil) // for its certificate
	cert := secure.TLS.Certificates[0]
	secure.Close()
	return map[string]func(t *testing.T) (client, server net.Conn){
		"TCP":  tcpPair,
		"Unix": func(t *testing.T) (client, server net.Conn) { return streamPair(t, "unix", t.TempDir()+"/s") },
		"Other": func(t *testing.T) (client, server net.Conn) {
			client, server = tcpPair(t)
			return client, wrapped{server}
		},
		"TLS": func(t *testing.T) (client, server net.Conn) {
			client, server = tcpPair(t)
			return tls.Client(client, &tls.Config{InsecureSkipVerify: true}),
				tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
		},
	}
}

// TestReadsEverything sends messages around every size at which a reader does
// something else.
func TestReadsEverything(t *testing.T) {
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			var sent []byte
			var messages [][]byte
			for i, n := range []int{1, 9, 511, 512, 513, 1024, 16 << 10, size - 1, size, size + 1, 1 << 20, 1} {
				messages = append(messages, bytes.Repeat([]byte{byte(i)}, n))
				sent = append(sent, messages[i]...)
			}
			go func() {
				defer client.Close()
				for _, m := range messages {
					_, _ = client.Write(m)
				}
			}()
			var pool countingPool
			got, err := readAll(idleread.NewReader(server), &pool, size)
			if err != io.EOF || !bytes.Equal(got, sent) {
				t.Errorf("read %d bytes of %d, then %v", len(got), len(sent), err)
			}
			if out := pool.out.Load(); out != 0 {
				t.Errorf("%d buffers were not given back", out)
			}
		})
	}
}

// TestHoldsNothingWhileIdle waits until a reader waits, and looks at the pool.
func TestHoldsNothingWhileIdle(t *testing.T) {
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			pool := countingPool{back: make(chan struct{}, 1000)}
			read := make(chan error)
			go func() {
				_, err := readAll(idleread.NewReader(server), &pool, size)
				read <- err
			}()
			for round := int64(1); round <= 3; round++ {
				if _, err := client.Write([]byte("a message")); err != nil {
					t.Fatal(err)
				}
				// It was taken, read and given back.
				for late := time.After(10 * time.Second); pool.taken.Load() < round || pool.out.Load() != 0; {
					select {
					case <-pool.back:
					case <-late:
						t.Fatalf("%d buffers taken, %d out after message %d", pool.taken.Load(), pool.out.Load(), round)
					}
				}
			}
			_ = client.Close()
			if err := <-read; err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestErrorsAreThoseOfRead(t *testing.T) {
	cases := map[string]struct {
		reason string
		break_ func(client, server net.Conn)
		want   error
	}{
		"Deadline": {"The handshake's deadline must be seen as one.", func(_, server net.Conn) { _ = server.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"Closed":   {"This side has closed it.", func(_, server net.Conn) { _ = server.Close() }, net.ErrClosed},
		"Reset": {"The peer's process was killed.", func(client, _ net.Conn) {
			_ = client.(*net.TCPConn).SetLinger(0)
			_ = client.Close()
		}, syscall.ECONNRESET},
	}
	for name, tc := range cases {
		for kind, wrap := range map[string]func(net.Conn) net.Conn{
			"TCP":   func(c net.Conn) net.Conn { return c },
			"Other": func(c net.Conn) net.Conn { return wrapped{c} },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				client, server := tcpPair(t)
				r := idleread.NewReader(wrap(server))
				tc.break_(client, server)
				var pool countingPool
				_, err := readAll(r, &pool, size)
				var op *net.OpError
				if !errors.Is(err, tc.want) || !errors.As(err, &op) || op.Op != "read" || op.Net != "tcp" {
					t.Errorf("%s\nwant a read error with %v, got %v", tc.reason, tc.want, err)
				}
				if pool.out.Load() != 0 {
					t.Error("a buffer was not given back")
				}
			})
		}
	}
}

// TestClosedWhileWaiting is how sessions end.
func TestClosedWhileWaiting(t *testing.T) {
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			_, server := pair(t)
			done := make(chan error)
			var pool countingPool
			go func() {
				_, err := readAll(idleread.NewReader(server), &pool, size)
				done <- err
			}()
			_ = server.Close()
			if err := <-done; err == nil {
				t.Error("no error")
			}
			if pool.out.Load() != 0 {
				t.Error("a buffer was not given back")
			}
		})
	}
}

// TestReadsThroughAWrapper lets a connection note what is read from it.
func TestReadsThroughAWrapper(t *testing.T) {
	client, server := tcpPair(t)
	outer := idleread.NewReader(&noting{Conn: server, reader: idleread.NewReader(server)})
	_, _ = client.Write([]byte("noted"))
	_ = client.Close()
	var pool countingPool
	if got, err := readAll(outer, &pool, size); string(got) != "noted, noted" || err != io.EOF {
		t.Errorf("read %q, %v", got, err)
	}
}

// noting adds to what is read.
type noting struct {
	net.Conn
	reader *idleread.Reader
}

func (c *noting) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if buffer, n, err = c.reader.ReadOnReady(size, pool); n > 0 {
		n += copy((*buffer)[n:], ", noted")
	}
	return buffer, n, err
}
