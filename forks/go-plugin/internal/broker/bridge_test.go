// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// An id that was dialled over a bridge carries bytes both ways, and makes room for others
// soon after its connection.
func TestBridge(t *testing.T) {
	host, here := streamPair(t, time.Minute)    // host, and this process as its plugin
	there, plugin := streamPair(t, time.Minute) // this process as host, and the plugin
	bridge := NewBridge()
	defer bridge.Close()
	const id = 7
	lis, err := host.Accept(id)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	bridge.Offer(id, here, there)
	dialled, err := connection(t.Context(), plugin, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialled.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	accepted, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		from io.Reader
		to   io.Writer
	}{{accepted, accepted}, {dialled, io.Discard}} {
		if _, err := io.CopyN(way.to, way.from, 1); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	_ = dialled.Close()
	bridge.work.Wait()
	if waited := time.Since(began); waited >= bridgeWait {
		t.Errorf("the id stood for %v after its connection", waited)
	}
	if bridge.open != 0 {
		t.Errorf("%d ids are open", bridge.open)
	}
}

// Beyond the bound an id is not offered, and the bridge goes on.
func TestBridgeIsBounded(t *testing.T) {
	_, here := streamPair(t, time.Minute)
	there, _ := streamPair(t, time.Minute)
	bridge := NewBridge()
	for id := range uint32(maxBridged + 10) {
		bridge.Offer(id+1, here, there)
	}
	if bridge.open != maxBridged {
		t.Errorf("%d ids are open", bridge.open)
	}
	bridge.Close()
	bridge.Offer(1, here, there) // does nothing
	if bridge.open != 0 {
		t.Errorf("%d ids are open on a closed bridge", bridge.open)
	}
}

// An id cannot be offered to a side whose broker has never spoken. The bridge does not wait for
// it: such a side may be there for long.
func TestBridgeEndsWithoutLink(t *testing.T) {
	_, here := streamPair(t, time.Minute)
	cfg := testConfig(Listeners(ListenerConfig{}))
	cfg.Wait = time.Hour
	mute := New(cfg)
	defer mute.Close()
	bridge := NewBridge()
	bridge.Offer(1, here, mute)
	bridge.Close()
	if bridge.open != 0 || mute.ctx.Err() != nil {
		t.Errorf("%d ids are open, the other broker: %v", bridge.open, mute.ctx.Err())
	}
}

// An id that is dialled several times at once is connected as often, whatever the transport
// of the side that accepts it.
func TestBridgeIsDialledAtOnce(t *testing.T) {
	for name, connect := range pairs {
		t.Run(name, func(t *testing.T) {
			host, here := connect(t, time.Second)
			there, plugin := streamPair(t, time.Minute)
			bridge := NewBridge()
			defer bridge.Close()
			const id, most = 7, 5
			lis, err := host.Accept(id)
			if err != nil {
				t.Fatal(err)
			}
			var echoes wait.Group
			defer echoes.Wait()
			defer lis.Close()
			echoes.Go(func() {
				for {
					conn, err := lis.Accept()
					if err != nil {
						return
					}
					echoes.Go(func() {
						_, _ = io.CopyN(conn, conn, 1)
						_ = conn.Close()
					})
				}
			})
			bridge.Offer(id, here, there)
			var dials wait.Group
			for range most {
				dials.Go(func() {
					dialled, err := connection(t.Context(), plugin, id)
					if err != nil {
						t.Error(err)
						return
					}
					defer dialled.Close()
					_, _ = dialled.Write([]byte("x"))
					if _, err := io.ReadFull(dialled, make([]byte, 1)); err != nil {
						t.Error(err)
					}
				})
			}
			dials.Wait()
		})
	}
}

// An id that is dialled again once its connection has ended, as gRPC does with one that it
// replaces, is connected again, whatever the transport of the side that accepts it: where
// that listens, it has said so once.
func TestBridgeIsDialledAgain(t *testing.T) {
	for name, connect := range pairs {
		t.Run(name, func(t *testing.T) {
			host, here := connect(t, time.Second)
			there, plugin := streamPair(t, time.Minute)
			bridge := NewBridge()
			defer bridge.Close()
			const id = 7
			lis, err := host.Accept(id)
			if err != nil {
				t.Fatal(err)
			}
			defer lis.Close()
			bridge.Offer(id, here, there)
			for i := range 3 {
				dialled, err := connection(t.Context(), plugin, id)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := dialled.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				_ = dialled.SetReadDeadline(time.Now().Add(time.Minute))
				accepted := make(chan net.Conn, 1)
				go func() {
					conn, err := lis.Accept()
					if err != nil {
						return
					}
					_, _ = io.CopyN(conn, conn, 1)
					accepted <- conn
				}()
				if _, err := io.ReadFull(dialled, make([]byte, 1)); err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				_ = dialled.Close()
				_ = (<-accepted).Close()
			}
		})
	}
}
