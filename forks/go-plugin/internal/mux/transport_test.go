// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"io"
	"net"
	"net/rpc"
	"os"
	"sync/atomic"
	"testing"
)

// changingConn changes what is written, as one that encrypts or compresses does.
type changingConn struct {
	*net.TCPConn
	written atomic.Int64
}

func (c *changingConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	return c.TCPConn.Write(p)
}

// namingConn says what is beneath it, as *tls.Conn does.
type namingConn struct{ net.Conn }

func (c namingConn) NetConn() net.Conn { return c.Conn.(*changingConn).TCPConn }

// What a wrapper does with what is written must not be passed by.
func TestWrappersSeeWhatIsWritten(t *testing.T) {
	for name, wrap := range map[string]func(*changingConn) net.Conn{
		"embeds a TCP connection": func(c *changingConn) net.Conn { return c },
		"names a TCP connection":  func(c *changingConn) net.Conn { return namingConn{c} },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			changing := &changingConn{TCPConn: here.(*net.TCPConn)}
			p := newPair(t, wrap(changing), there, HostConfig{}, PluginConfig{})
			mustUpper(t, p.client(newThing()))
			if changing.written.Load() == 0 {
				t.Error("the request went past the wrapper")
			}
		})
	}
}

// lastWords gives its error together with the last bytes, as *tls.Conn does.
type lastWords struct {
	net.Conn
	data []byte
}

func (c *lastWords) Read(p []byte) (int, error) {
	n := copy(p, c.data)
	c.data = c.data[n:]
	if len(c.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// A reply that is cut off is a lost connection, not a reply of another type.
func TestReplyCutOff(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	plugin := newRawPeer(t, there)
	b, _, err := plugin.values.add(newMessage(kindAnswer, 1, 7), "a long text", 0)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHost(&lastWords{here, b.data[:len(b.data)-3]}, HostConfig{})
	defer h.Close()
	c := h.Channel(1)
	var r rpc.Response
	if err := c.ReadHeader(&r); err != nil || r.Seq != 7 {
		t.Fatalf("got %+v, %v", r, err)
	}
	var text string
	if err := c.ReadReply(reflectOf(&text)); err == nil || h.Err() == nil {
		t.Errorf("the reply: %v, the session ended with %v", err, h.Err())
	}
}

// ownTimeout has an error of its own for a deadline that has passed, as
// multiplexed and userspace connections do.
type ownTimeout struct{ net.Conn }

type timeoutError struct{ error }

func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func (c ownTimeout) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = timeoutError{errors.New("too late")}
	}
	return n, err
}

// Close of the channel whose reader waits for the connection ends that reader
// alone.
func TestCloseInterruptsReader(t *testing.T) {
	transports := map[string]func(testing.TB) (net.Conn, net.Conn){
		"own timeout": func(testing.TB) (net.Conn, net.Conn) {
			here, there := net.Pipe()
			return ownTimeout{here}, there
		},
	}
	for name, connect := range connections() {
		transports[name] = connect
	}
	for name, connect := range transports {
		t.Run(name, func(t *testing.T) {
			here, there := connect(t)
			p := newPair(t, here, there, HostConfig{}, PluginConfig{})
			for range 20 {
				c := p.serve(newThing())
				ended := make(chan error, 1)
				go func() { ended <- c.ReadHeader(&rpc.Response{}) }()
				p.awaitParked(c)
				_ = c.Close()
				if err := <-ended; !errors.Is(err, errChannelClosed) {
					t.Fatalf("the reader ended with %v", err)
				}
			}
			mustUpper(t, p.client(newThing()))
		})
	}
}

// A text that is cut off is a lost connection, not what the plugin has said: neither the
// reader who waits for it nor one who hands it over takes it for a failure.
func TestFailureCutOff(t *testing.T) {
	for _, k := range []kind{kindFailure, kindRefused} {
		whole := rawMessage(k, "the plugin says no", 1, 7)
		if k == kindRefused {
			whole = rawMessage(k, "the plugin says no", 1, 7, refusedBusy)
		}
		for n := 1; n < len(whole); n++ {
			here, there := net.Pipe()
			h := NewHost(&lastWords{here, whole[:n]}, HostConfig{})
			var r rpc.Response
			if err := h.Channel(1).ReadHeader(&r); err == nil {
				t.Errorf("after %d bytes of a frame of kind %d comes %q, %v", n, k, r.Error, err)
			}
			_, _ = h.Close(), there.Close()
		}
	}
}
