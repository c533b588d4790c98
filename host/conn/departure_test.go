// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
)

// TestDeparture holds that a plugin which says that it leaves is known to have left while
// nobody is reached there, until something else is wrong or it is back.
func TestDeparture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{Backoff: conn.Backoff{Min: time.Second, Max: time.Second}, Recheck: time.Second})
		unreached := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		wants := func(reason string, want conn.Departure) {
			t.Helper()
			synctest.Wait()
			if s := r.Status(); s.Departure != want {
				t.Errorf("%s: %q in %s, want %q", reason, s.Departure, s.State, want)
			}
		}
		wants("it is ready", conn.Stays)
		r.dialer.Default(manualdial.Script{Err: &plugin.RefusedError{Code: plugin.RefusedDraining}})
		r.session().Drain()
		wants("it says that it leaves", conn.Leaving)
		r.pass(5 * time.Second)
		wants("it refuses new sessions", conn.Leaving)
		r.dialer.Default(manualdial.Script{Err: unreached})
		r.pass(5 * time.Second)
		wants("nobody listens there", conn.Left)
		r.dialer.Default(manualdial.Script{Err: errors.New("certificate has expired")})
		r.pass(5 * time.Second)
		wants("something else is wrong", conn.Stays)
		r.dialer.Default(manualdial.Script{})
		r.pass(5 * time.Second)
		r.dialer.Default(manualdial.Script{Err: unreached})
		r.session().End(errors.New("gone"))
		r.pass(5 * time.Second)
		wants("it did not say so", conn.Stays)
	})
}
