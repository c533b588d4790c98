// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/target"
)

func wantStory(t *testing.T, reason string, r *rig, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.told()); diff != "" {
		t.Errorf("%s: states (-want +got)\n%s", reason, diff)
	}
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := manualdial.New()
		d.Default(manualdial.Script{Info: conn.Info{Protocol: "grpc", Version: 3}})
		r := run(t, endpoint, conn.Options{Dialer: d})
		s := r.want("nothing is in the way", conn.Ready)
		if s.Info.Version != 3 || !s.UnreadySince.IsZero() || s.Sessions != 1 || s.Restarts() != 0 || s.Err != nil {
			t.Errorf("status is %+v", s)
		}
		wantStory(t, "from idle", r, "CONNECTING", "READY")
		l := r.begin()
		if l.Endpoint() != "zh@h:1" || l.Session() != any(r.session()) {
			t.Errorf("the lease names %s and %v", l.Endpoint(), l.Session())
		}
		if n := r.InFlight(); n != 1 {
			t.Errorf("%d calls in flight", n)
		}
		l.Done(0)
		if n := r.InFlight(); n != 0 {
			t.Errorf("%d calls in flight after the only one ended", n)
		}
	})
}

func TestBackoffGrowsAndIsCapped(t *testing.T) {
	cases := map[string]struct {
		reason    string
		placement target.Placement
		address   string
		opts      conn.Options
		want      []time.Duration
	}{
		"Network": {"an attempt is cheap", target.Network, "h:1", conn.Options{}, []time.Duration{100e6, 200e6, 400e6, 800e6, 1600e6, 3e9, 3e9}},
		"Child":   {"a crash loop must not eat the machine", target.Child, "/bin/zh", conn.Options{}, []time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9}},
		"Given":   {"options win", target.Network, "h:1", conn.Options{Backoff: conn.Backoff{Min: 1e9, Max: 3e9}}, []time.Duration{1e9, 2e9, 3e9, 3e9}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint
				e.Placement, e.Address = tc.placement, tc.address
				tc.opts.Dialer = manualdial.New()
				tc.opts.Dialer.(*manualdial.Dialer).Default(manualdial.Script{Err: errors.New("no luck")})
				began := time.Now()
				r := run(t, e, tc.opts)
				for i, want := range tc.want {
					s := r.want(tc.reason, conn.TransientFailure)
					if got := time.Until(s.NextAttempt); got < want*8/10 || got > want*12/10 {
						t.Errorf("%s: pause %d is %s, want %s give or take a fifth", tc.reason, i, got, want)
					}
					if !s.UnreadySince.Equal(began) {
						t.Errorf("%s: unready since %s, want %s, through all attempts", tc.reason, s.UnreadySince, began)
					}
					if s.Failures != i+1 || r.dials() != i+1 || s.Err.Error() != "no luck" {
						t.Errorf("%d failures (%v), %d dials after %d", s.Failures, s.Err, r.dials(), i+1)
					}
					r.pass(time.Until(s.NextAttempt))
				}
			})
		})
	}
}

func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := manualdial.New()
		d.Default(manualdial.Script{Hold: true})
		r := run(t, endpoint, conn.Options{Dialer: d, DialTimeout: time.Second})
		r.want("held", conn.Connecting)
		r.pass(time.Second)
		s := r.want("the attempt took too long", conn.TransientFailure)
		if diff := cmp.Diff("no session within 1s", fmt.Sprint(s.Err)); diff != "" {
			t.Errorf("cause (-want +got)\n%s", diff)
		}
	})
}

func TestSessionThatLastedIsRedialledSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := manualdial.New()
		d.Default(manualdial.Script{Err: errors.New("no luck")})
		r := run(t, endpoint, conn.Options{Dialer: d, StableAfter: 10 * time.Second, PingInterval: time.Hour})
		r.pass(time.Minute) // by now it pauses as long as it ever does
		d.Default(manualdial.Script{})
		r.pass(15 * time.Second)
		r.told()
		r.session().End(errors.New("reset by peer"))
		s := r.want("lost", conn.TransientFailure)
		if s.Failures != 0 || s.Err.Error() != "reset by peer" || !r.session().Closed() {
			t.Errorf("%d failures, cause %v, closed %v", s.Failures, s.Err, r.session().Closed())
		}
		r.pass(100 * time.Millisecond)
		s = r.want("the first pause is short", conn.Ready)
		if s.Restarts() != 1 || s.Err.Error() != "reset by peer" {
			t.Errorf("%d restarts, last error %v", s.Restarts(), s.Err)
		}
		wantStory(t, "by way of", r, "TRANSIENT_FAILURE", "CONNECTING", "READY")

		d.Default(manualdial.Script{Err: errors.New("no luck")})
		r.pass(15 * time.Second)
		r.session().End(errors.New("reset by peer"))
		r.pass(100 * time.Millisecond)
		s = r.want("not at once", conn.TransientFailure)
		// The first attempt came within 100 ms, and a second may have, too. Had the
		// count gone on, it would be 3 s.
		if pause := time.Until(s.NextAttempt); pause > 2*120*time.Millisecond {
			t.Errorf("the pause begins at %s although all was well in between", pause)
		}
	})
}

func TestCrashLoopIsVisibleAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := endpoint
		e.Placement, e.Address = target.Child, "/bin/zh"
		r := run(t, e, conn.Options{})
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			synctest.Wait()
			if s := r.Status(); s.State == conn.Ready {
				r.session().End(errors.New("exit status 2"))
			} else {
				r.pass(time.Until(s.NextAttempt))
			}
		}
		s := r.Status()
		if s.Sessions < 20 || s.Sessions > 35 || s.Failures < 20 {
			t.Errorf("%d sessions, %d failures in 10 minutes; want about one every 30 s, each counted", s.Sessions, s.Failures)
		}
		if s.State != conn.Ready {
			r.pass(time.Until(s.NextAttempt))
		}
		r.pass(20 * time.Second)
		if s := r.want("it lives at last", conn.Ready); s.Failures != 0 {
			t.Errorf("%d failures are still counted of a session that lasts", s.Failures)
		}
	})
}

func TestPermanentError(t *testing.T) {
	fault := conn.Permanent(errors.New("version 9 is not ours"))
	t.Run("Fingerprint", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := child()
			e.Fingerprint = "sha256:1"
			d := manualdial.New()
			d.Default(manualdial.Script{Err: fault})
			r := run(t, e, conn.Options{Dialer: d})
			r.pass(24 * time.Hour)
			s := r.want("a new fingerprint makes a new Conn", conn.TransientFailure)
			if !s.Permanent || r.dials() != 1 || !s.NextAttempt.IsZero() || s.Err.Error() != "version 9 is not ours" {
				t.Errorf("%d dials, status %+v", r.dials(), s)
			}
		})
	})
	t.Run("Pod", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := endpoint
			e.Fingerprint = "uid-of-the-pod" // stays when its container gets another image
			d := manualdial.New()
			d.Default(manualdial.Script{Err: fault})
			r := run(t, e, conn.Options{Dialer: d, Recheck: time.Minute})
			r.pass(47 * time.Second)
			if s := r.want("not often", conn.TransientFailure); !s.Permanent || r.dials() != 1 || s.NextAttempt.IsZero() {
				t.Errorf("%d dials, permanent %v, next attempt %s", r.dials(), s.Permanent, s.NextAttempt)
			}
			d.Default(manualdial.Script{})
			r.pass(26 * time.Second)
			if s := r.want("there would be no sign that it was repaired", conn.Ready); s.Permanent {
				t.Error("permanent although READY")
			}
		})
	})
}

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		state  conn.State
	}{
		"Good":      {"nothing against it", nil, conn.Ready},
		"Warning":   {"callers are warned, and may call what fits", errors.New("greeter.Hi is missing"), conn.Ready},
		"Permanent": {"it must get no calls", conn.Permanent(errors.New("greeter is missing")), conn.TransientFailure},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, endpoint, conn.Options{Check: func(e target.Endpoint, i conn.Info) error {
					if e != endpoint || i.Protocol != "netrpc" {
						t.Errorf("asked about %v, %v", e, i)
					}
					return tc.err
				}})
				s := r.want(tc.reason, tc.state)
				if tc.state == conn.Ready {
					if s.Warning != tc.err {
						t.Errorf("%s: warning %v", tc.reason, s.Warning)
					}
					return
				}
				if !s.Permanent || s.Err.Error() != tc.err.Error() || !r.session().Closed() {
					t.Errorf("%s: %+v", tc.reason, s)
				}
			})
		})
	}
}

func TestNoRedial(t *testing.T) {
	t.Run("Serving", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, endpoint, conn.Options{})
			r.NoRedial()
			r.pass(time.Hour)
			r.want("the session goes on", conn.Ready)
			r.session().End(errors.New("gone"))
			<-r.ended
			r.want("it was the last", conn.Shutdown)
			if r.dials() != 1 {
				t.Errorf("%d dials", r.dials())
			}
		})
	})
	for name, script := range map[string]manualdial.Script{
		"Pausing": {Err: errors.New("no luck")}, "Dialling": {Hold: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := manualdial.New()
				d.Default(script)
				r := run(t, endpoint, conn.Options{Dialer: d})
				at := time.Now()
				r.NoRedial()
				<-r.ended
				if took := time.Since(at); took != 0 {
					t.Errorf("it took %s to end, with no session", took)
				}
			})
		})
	}
}

func TestLeavingWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := manualdial.New()
		d.Default(manualdial.Script{Hold: true})
		r := run(t, endpoint, conn.Options{Dialer: d})
		r.leave()
		<-r.ended
		wantStory(t, "no detour", r, "CONNECTING", "SHUTDOWN")
	})
}

// lateDialer succeeds, but only after it was told to give up.
type lateDialer struct{ *manualdial.Dialer }

func (d lateDialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	<-ctx.Done()
	return d.Dialer.Dial(context.WithoutCancel(ctx), e)
}

func TestSessionThatComesTooLateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := lateDialer{manualdial.New()}
		var states []string
		c, err := conn.New(endpoint, conn.Options{Dialer: d, Observe: func(_ *conn.Conn, _, after *conn.Status) {
			states = append(states, after.State.String())
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		c.Run(ctx)
		if diff := cmp.Diff([]string{"CONNECTING", "SHUTDOWN"}, states); diff != "" || d.Open() != 0 {
			t.Errorf("%d sessions are open; states (-want +got)\n%s", d.Open(), diff)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	good := conn.Options{Dialer: manualdial.New()}
	edit := func(f func(*conn.Options)) conn.Options { o := good; f(&o); return o }
	cases := map[string]struct {
		reason string
		e      target.Endpoint
		opts   conn.Options
		want   string
	}{
		"Good":     {"all else has defaults", endpoint, good, "<nil>"},
		"NoDialer": {"nothing could be done", endpoint, conn.Options{}, "make conn: Dialer is not set"},
		"Negative": {"a slip", endpoint, edit(func(o *conn.Options) { o.PingTimeout = -1 }), "make conn: PingTimeout must not be negative"},
		"Backoff":  {"a pause of zero would spin", endpoint, edit(func(o *conn.Options) { o.Backoff.Max = 1 }), "make conn: Backoff from 0s to 1ns: Min must be above zero and Max not below it"},
		"Endpoint": {"it could not be dialled", target.Endpoint{}, good, `make conn: endpoint of plugin "" at "": ID is empty`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := conn.New(tc.e, tc.opts)
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// lines collects what is logged, from any goroutine.
type lines struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), text)
}

// TestCausesInTurnsAreWarningsOnce: a dial that takes too long has several texts.
func TestCausesInTurnsAreWarningsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := &lines{}, manualdial.New()
		texts := []string{"dial tcp: i/o timeout", "context deadline exceeded"}
		d.Default(manualdial.Script{Err: errors.New(texts[0])})
		r := run(t, endpoint, conn.Options{Dialer: d, Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})})
		for i := range 20 {
			d.Default(manualdial.Script{Err: errors.New(texts[i%2])})
			r.pass(4 * time.Second)
		}
		d.Default(manualdial.Script{})
		r.pass(time.Minute)
		r.want("it is there at last", conn.Ready)
		if got := log.count("[WARN]"); got != len(texts) {
			t.Errorf("%d warnings, want one for each of %d texts:\n%s", got, len(texts), log.out.String())
		}
		r.session().End(errors.New(texts[0]))
		synctest.Wait()
		if got := log.count("[WARN]"); got != len(texts)+1 {
			t.Errorf("after a session that lasted it is news again:\n%s", log.out.String())
		}
	})
}

// TestCausesThatDifferInPortsAreOne: a plugin that resets each connection is one piece
// of news, and one that never says the same twice is a few.
func TestCausesThatDifferInPortsAreOne(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"ports of this side": {"read tcp 10.0.0.1:%d->10.0.0.2:7000: read: connection reset by peer", 1},
		"ports, IPv6":        {"read tcp [fd00::1%%eth0]:%d->[fd00::2]:7000: read: connection reset by peer", 1},
		"socket of a host":   {"write tcp 127.0.0.1:%d->127.0.0.1:7000: write: broken pipe", 1},
		"times":              {"tls: certificate has expired or is not yet valid: current time 2026-11-28T08:00:%02dZ is after 2026-11-01T00:00:00Z", 1},
		"anything":           {"error number %d", 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, d := &lines{}, manualdial.New()
				d.Default(manualdial.Script{Err: fmt.Errorf(tc.text, 10)})
				r := run(t, endpoint, conn.Options{Dialer: d, Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})})
				for i := range 40 {
					d.Default(manualdial.Script{Err: fmt.Errorf(tc.text, 10+i)})
					r.pass(4 * time.Second)
				}
				if got := log.count("[WARN]"); got != tc.want {
					t.Errorf("%d warnings, want %d:\n%s", got, tc.want, log.out.String())
				}
			})
		})
	}
}

// TestLeavingIsTold: whoever reads the log learns why calls go elsewhere.
func TestLeavingIsTold(t *testing.T) {
	cases := map[string]struct {
		reason string
		leave  func(*rig)
		want   string
	}{
		"plugin": {"it said so", func(r *rig) { r.session().Drain() }, `[INFO]  session leaves: its calls may finish: endpoint=zh@h:1 plugin=zh reason="the plugin is leaving" calls=1`},
		"stale": {"the host wants another", func(r *rig) { r.Renew(func(conn.Info) bool { return true }) },
			`[INFO]  session leaves: its calls may finish: endpoint=zh@h:1 plugin=zh reason="the session is made anew, as it speaks what is not wanted" calls=1`},
		"discovery": {"it is withdrawn", func(r *rig) { r.leave() }, "[INFO]  endpoint was withdrawn: its calls may finish: endpoint=zh@h:1 plugin=zh calls=1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &lines{}
				r := run(t, endpoint, conn.Options{Logger: hclog.New(&hclog.LoggerOptions{Output: log, DisableTime: true})})
				l := r.begin()
				tc.leave(r)
				synctest.Wait()
				l.Done(balancer.Answered)
				if log.count(tc.want) != 1 || log.count("[WARN]") != 0 {
					t.Errorf("%s: the log says\n%s\nwant %s", tc.reason, log.out.String(), tc.want)
				}
			})
		})
	}
}
