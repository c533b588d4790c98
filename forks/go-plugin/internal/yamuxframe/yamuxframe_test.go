// SPDX-License-Identifier: MPL-2.0

package yamuxframe

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder notes what is written at once.
type recorder struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	r.writes = append(r.writes, bytes.Clone(p))
	r.mu.Unlock()
	return r.Conn.Write(p)
}

// TestJoin has two sessions speak, and looks at each write of one.
func TestJoin(t *testing.T) {
	near, far := net.Pipe()
	rec := &recorder{Conn: near}
	config := yamux.DefaultConfig()
	config.LogOutput, config.EnableKeepAlive = io.Discard, false
	client, err := yamux.Client(Join(rec), config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := yamux.Server(Join(far), config)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	stream, err := client.Open()
	if err != nil {
		t.Fatal(err)
	}
	echo, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(echo, echo) }()
	for _, size := range []int{1, 12, maxJoined, maxJoined + 1, 300 << 10, 5} {
		sent, got := bytes.Repeat([]byte{byte(size)}, size), make([]byte, size)
		go func() { _, _ = stream.Write(sent) }()
		if _, err := io.ReadFull(stream, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes came back otherwise: %v", size, err)
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	apart := 0
	for _, w := range rec.writes {
		if announcesData(w) {
			apart++
		}
	}
	if apart > 0 {
		t.Errorf("%d of %d writes are headers whose data could be joined to them", apart, len(rec.writes))
	}
}

// broken takes a number of bytes and no more.
type broken struct {
	net.Conn
	n int
}

func (b broken) Write([]byte) (int, error) { return b.n, io.ErrClosedPipe }

func TestJoinFails(t *testing.T) {
	header := []byte{0, typeData, 0, 0, 0, 0, 0, 7, 0, 0, 0, 4}
	for taken, want := range map[int]int{0: 0, 5: 0, headerSize: 0, headerSize + 3: 3} {
		j := Join(broken{n: taken})
		if n, err := j.Write(header); n != len(header) || err != nil {
			t.Fatalf("header: %d, %v", n, err)
		}
		if n, err := j.Write([]byte("data")); n != want || err == nil {
			t.Errorf("%d bytes taken: Write = %d, %v, want %d", taken, n, err, want)
		}
	}
}
