// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// longError is what a peer may answer to a ping.
type longError struct{}

func (longError) Error() string { return strings.Repeat("x", 5<<20) }

// TestStatusKeepsLittleOfAnError holds that what a status shows is bounded, and
// that the error is still the one that it was.
func TestStatusKeepsLittleOfAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{PingInterval: time.Second, PingTimeout: time.Second})
		r.session().SetPing(func(context.Context) error { return longError{} })
		for r.Status().Err == nil {
			r.pass(100 * time.Millisecond)
		}
		err := r.Status().Err
		if n := len(err.Error()); n > printable.MaxText+20 || !strings.HasPrefix(err.Error(), "no answer to a ping: xxx") {
			t.Errorf("%d bytes: %.60s", n, err)
		}
		if !errors.As(err, new(longError)) {
			t.Error("the error has lost its cause")
		}
	})
}

// TestLateOnce holds that an attempt which took too long says for how long, once, and still
// matches what ended it.
func TestLateOnce(t *testing.T) {
	for want, err := range map[string]error{
		"no session within 1s": context.DeadlineExceeded,
		"no session within 1s: dial tcp 127.0.0.1:1: i/o timeout": errors.New("dial tcp 127.0.0.1:1: i/o timeout"),
		"no answer to the handshake within 1s":                    errors.New("no answer to the handshake within 1s"),
	} {
		synctest.Test(t, func(t *testing.T) {
			c, failed := conn.New(endpoint, conn.Options{DialTimeout: time.Second, Dialer: conn.DialerFunc(func(ctx context.Context, _ target.Endpoint) (conn.Session, error) {
				<-ctx.Done()
				return nil, err
			})})
			if failed != nil {
				t.Fatal(failed)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c.Run(ctx)
			}()
			time.Sleep(time.Second)
			synctest.Wait()
			if got := c.Status().Err; got == nil || got.Error() != want || !errors.Is(got, err) {
				t.Errorf("got %v, want %q", got, want)
			}
			cancel()
			<-ended
		})
	}
}

// TestBareCause holds that an address which is shown beside a cause is not said in it again.
func TestBareCause(t *testing.T) {
	for text, want := range map[string]string{
		"attach to plugin at 127.0.0.1:1: dial tcp 127.0.0.1:1: refused": "dial tcp 127.0.0.1:1: refused",
		"attach to plugin at unix:///run/zh.sock: refused":               "refused",
		"connection to plugin lost":                                      "connection to plugin lost",
	} {
		if got := conn.BareCause(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}
