// SPDX-License-Identifier: MPL-2.0

package dial_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-plugin/internal/dial"
)

// brokenConn is a connection whose reads fail.
type brokenConn struct {
	net.Conn
	err error
}

func (c brokenConn) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: c.err}
}

// ownTimeout is what connections give that are not of the operating system.
type ownTimeout struct{ error }

func (ownTimeout) Timeout() bool   { return true }
func (ownTimeout) Temporary() bool { return true }

// A deadline interrupts a read, and no session.
func TestSessionOutlivesDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		ends bool
	}{
		"deadline":               {err: os.ErrDeadlineExceeded},
		"deadline, another word": {err: ownTimeout{errors.New("too late")}},
		"peer is gone":           {err: os.NewSyscallError("read", syscall.ETIMEDOUT), ends: true},
		"reset":                  {err: os.NewSyscallError("read", syscall.ECONNRESET), ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			var ended error
			c := dial.NewConn(brokenConn{err: test.err}, func(err error) { ended = err })
			_, err := c.Read(make([]byte, 1))
			if !errors.Is(err, test.err) || (ended != nil) != test.ends {
				t.Errorf("read says %v, the session ended with %v", err, ended)
			}
		})
	}
}

// closedByPeer has answers to be read, and takes nothing any more.
type closedByPeer struct{ net.Conn }

func (closedByPeer) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func (closedByPeer) Read(p []byte) (int, error) { return copy(p, "answer"), nil }

// A plugin that has answered and gone breaks the writes of its host first. The
// answers have come, and are to be read before the session ends.
func TestFailedWriteLeavesAnswersToBeRead(t *testing.T) {
	var ended error
	c := dial.NewConn(closedByPeer{}, func(err error) { ended = err })
	if _, err := c.Write([]byte("ping")); !errors.Is(err, syscall.EPIPE) || ended != nil {
		t.Errorf("write says %v, the session ended with %v", err, ended)
	}
	answer := make([]byte, 6)
	if n, err := c.Read(answer); n != 6 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// spoken is a connection on which all has come at once.
type spoken struct {
	net.Conn
	left string
}

func (c *spoken) Read(p []byte) (int, error) {
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// A plugin that has answered, and gives the connection up: gRPC has the answer before the
// session ends, however little it reads at once.
func TestAnswersBeforeTheyGiveUp(t *testing.T) {
	const answer = "\x00\x00\x01\x00\x01\x00\x00\x00\x01" + "x"
	const goAway = "\x00\x00\x0a\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x00\x00\x02" + "no"
	for _, size := range []int{1, 10, 100} {
		var ended error
		c := dial.NewHTTP2Conn(&spoken{left: answer + goAway}, func(err error) { ended = err }, func() { t.Error("it is taken to leave") })
		came, p := 0, make([]byte, size)
		for came < len(answer+goAway) {
			n, err := c.Read(p)
			if err != nil || ended != nil {
				t.Fatalf("after %d bytes: %v, the session ended with %v", came, err, ended)
			}
			came += n
		}
		if _, err := c.Read(p); err == nil || ended != err || !strings.Contains(err.Error(), "INTERNAL_ERROR: no") {
			t.Errorf("the next read says %v, the session ended with %v", err, ended)
		}
	}
}
