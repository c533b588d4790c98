// SPDX-License-Identifier: MPL-2.0

package static_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/static"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a resolver in the test's hands.
type zone struct {
	mu    sync.Mutex
	ips   map[string][]netip.Addr
	err   error
	hangs bool
	asked []time.Time
}

func (z *zone) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	z.mu.Lock()
	z.asked = append(z.asked, time.Now())
	ips, err, hangs := z.ips[host], z.err, z.hangs
	z.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: true}
	}
	if err == nil && len(ips) == 0 {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return ips, err
}

func (z *zone) set(host string, ips ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.ips == nil {
		z.ips = make(map[string][]netip.Addr)
	}
	z.ips[host] = nil
	for _, ip := range ips {
		z.ips[host] = append(z.ips[host], netip.MustParseAddr(ip))
	}
}

func (z *zone) fail(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err = err
}

func (z *zone) lookups() []time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]time.Time(nil), z.asked...)
}

// run starts a manager over one static source until the bubble ends.
func run(t *testing.T, list string, opts static.Options) (*static.Source, *discovery.Manager) {
	t.Helper()
	src, err := static.New(list, opts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	synctest.Wait()
	return src, m
}

func wantIDs(t *testing.T, reason string, m *discovery.Manager, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for _, e := range m.Current().Endpoints {
		got = append(got, e.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", reason, diff)
	}
}

func TestFixedAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		_, m := run(t, "zh=h:1, zh=h:2, 127.0.0.1:7000, [::1]:7000", static.Options{Resolver: z})
		want := []target.Endpoint{
			{ID: "127.0.0.1:7000@127.0.0.1:7000", Plugin: "127.0.0.1:7000", Placement: target.Network, Address: "127.0.0.1:7000", ServerName: "127.0.0.1", Source: "static"},
			{ID: "[::1]:7000@[::1]:7000", Plugin: "[::1]:7000", Placement: target.Network, Address: "[::1]:7000", ServerName: "::1", Source: "static"},
			{ID: "zh@h:1", Plugin: "zh", Placement: target.Network, Address: "h:1", Source: "static"},
			{ID: "zh@h:2", Plugin: "zh", Placement: target.Network, Address: "h:2", Source: "static"},
		}
		if diff := cmp.Diff(want, m.Current().Endpoints); diff != "" {
			t.Errorf("endpoints (-want +got)\n%s", diff)
		}
		time.Sleep(time.Hour) // of the bubble's clock
		if n := len(z.lookups()); n != 0 {
			t.Errorf("%d lookups for addresses that need none", n)
		}
	})
}

func TestRecordsBecomeEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("headless", "10.0.0.2", "10.0.0.1", "::ffff:10.0.0.1", "fd00::1")
		_, m := run(t, "zh=dns:///headless:7000", static.Options{Resolver: z})
		wantIDs(t, "each record once", m, "zh@10.0.0.1:7000", "zh@10.0.0.2:7000", "zh@[fd00::1]:7000")
		z.set("headless", "10.0.0.3")
		time.Sleep(29 * time.Second)
		wantIDs(t, "not looked up yet", m, "zh@10.0.0.1:7000", "zh@10.0.0.2:7000", "zh@[fd00::1]:7000")
		time.Sleep(time.Second)
		wantIDs(t, "after 30 s", m, "zh@10.0.0.3:7000")
	})
}

func TestLookupErrorKeepsTheLastGood(t *testing.T) {
	cases := map[string]struct {
		reason string
		breakZ func(*zone)
		want   string
	}{
		"Misbehaving": {"the name server is broken", func(z *zone) {
			z.fail(&net.DNSError{Err: "server misbehaving", Name: "zh", Server: "10.0.0.10:53"})
		}, "resolve zh: server misbehaving"},
		"Gone":  {"a Service that lost its pods for a moment", func(z *zone) { z.set("zh") }, "resolve zh: no such host"},
		"Other": {"whatever a resolver of somebody's own says", func(z *zone) { z.fail(errors.New("boom")) }, "resolve zh: boom"},
		"Hangs": {"a name server that is not there", func(z *zone) {
			z.mu.Lock()
			defer z.mu.Unlock()
			z.hangs = true
		}, "resolve zh: the name server did not answer in time"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &zone{}
				z.set("zh", "10.0.0.1")
				_, m := run(t, "dns:///zh:7000", static.Options{Resolver: z})
				wantIDs(t, "at first", m, "zh@10.0.0.1:7000")
				tc.breakZ(z)
				time.Sleep(30*time.Second + 4900*time.Millisecond) // a lookup that hangs takes 5 s
				if name == "Hangs" {
					time.Sleep(time.Second)
				}
				wantIDs(t, tc.reason, m, "zh@10.0.0.1:7000")
				want := []target.Problem{{Plugin: "zh", Subject: "zh:7000", Reason: tc.want, Source: "static"}}
				if diff := cmp.Diff(want, m.Current().Problems); diff != "" {
					t.Errorf("problems (-want +got)\n%s", diff)
				}
				if s := m.Status()[0]; s.LastError == nil || s.LastError.Error() != tc.want {
					t.Errorf("last error is %v, want %q", s.LastError, tc.want)
				}
				z.mu.Lock()
				z.err, z.hangs = nil, false
				z.mu.Unlock()
				z.set("zh", "10.0.0.1")
				time.Sleep(10 * time.Second)
				if s := m.Status()[0]; s.LastError != nil || len(m.Current().Problems) > 0 {
					t.Errorf("after it answers again: last error %v, problems %v", s.LastError, m.Current().Problems)
				}
			})
		})
	}
}

func TestConfirmedAbsenceWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("zh", "10.0.0.1")
		_, m := run(t, "dns:///zh:7000", static.Options{Resolver: z})
		z.set("zh")
		time.Sleep(34 * time.Second)
		wantIDs(t, "said once, it is not believed", m, "zh@10.0.0.1:7000")
		time.Sleep(time.Second)
		wantIDs(t, "said twice, it is", m)
		want := []target.Problem{{Plugin: "zh", Subject: "zh:7000", Reason: "resolve zh: no such host", Source: "static"}}
		if diff := cmp.Diff(want, m.Current().Problems); diff != "" {
			t.Errorf("the problem stays to be seen (-want +got)\n%s", diff)
		}
	})
}

func TestNameThatNeverResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		_, m := run(t, "dns:///zh:7000", static.Options{Resolver: z})
		set := m.Current()
		if !set.Synced {
			t.Error("a failed lookup is a state too: nobody should wait for it")
		}
		if diff := cmp.Diff([]target.Plugin{{Name: "zh"}}, set.Plugins); diff != "" {
			t.Errorf("the plugin is declared all the same (-want +got)\n%s", diff)
		}
		z.set("zh", "10.0.0.1")
		time.Sleep(5 * time.Second)
		wantIDs(t, "a failed lookup is repeated sooner", m, "zh@10.0.0.1:7000")
	})
}

func TestRefreshIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("zh", "10.0.0.1")
		src, _ := run(t, "dns:///zh:7000", static.Options{Resolver: z})
		for range 40 { // ten times a second for four seconds
			src.Refresh()
			time.Sleep(100 * time.Millisecond)
		}
		all := z.lookups()
		if len(all) < 4 || len(all) > 5 {
			t.Errorf("%d lookups in four seconds, want one a second", len(all))
		}
		for i := 1; i < len(all); i++ {
			if gap := all[i].Sub(all[i-1]); gap < time.Second {
				t.Errorf("lookups %d and %d are %s apart", i-1, i, gap)
			}
		}
	})
}

func TestSlowNameHoldsUpNobodyAfterTheFirstState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &perHost{slow: "slow", zone: &zone{}}
		slow.set("fast", "10.0.0.1")
		_, m := run(t, "dns:///slow:1,dns:///fast:1", static.Options{Resolver: slow})
		time.Sleep(5 * time.Second)
		wantIDs(t, "the first state waits for the timeout", m, "fast@10.0.0.1:1")
		slow.set("fast", "10.0.0.2")
		time.Sleep(6 * time.Second) // the retry is due; its slow half has not ended
		wantIDs(t, "the quick one is delivered at once", m, "fast@10.0.0.2:1")
	})
}

// TestChangeOfAnotherNameHidesNoFailure: one name does not resolve, another one changes. The
// source is out of step all the time, and since the first failure.
func TestChangeOfAnotherNameHidesNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &perHost{slow: "slow", zone: &zone{}}
		slow.set("fast", "10.0.0.1")
		_, m := run(t, "dns:///slow:1,dns:///fast:1", static.Options{Resolver: slow})
		time.Sleep(6 * time.Second)
		first := m.Status()[0]
		if first.LastError == nil {
			t.Fatal("a name that does not resolve is not reported")
		}
		slow.set("fast", "10.0.0.2")
		for range 5 {
			time.Sleep(time.Second)
			if now := m.Status()[0]; fmt.Sprint(now.LastError) != fmt.Sprint(first.LastError) || !now.Since.Equal(first.Since) {
				t.Errorf("the other name has changed: out of step since %s with %v, want since %s with %v", now.Since, now.LastError, first.Since, first.LastError)
			}
		}
		wantIDs(t, "the change is followed all the same", m, "fast@10.0.0.2:1")
	})
}

// perHost never answers for one host.
type perHost struct {
	*zone
	slow string
}

func (p *perHost) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == p.slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.zone.LookupNetIP(ctx, network, host)
}

// ip4 looks up addresses of one family.
type ip4 struct{ *net.Resolver }

func (r ip4) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	return r.Resolver.LookupNetIP(ctx, "ip4", host)
}

func TestSystemResolver(t *testing.T) {
	src, err := static.New("dns:///localhost:7000", static.Options{Resolver: ip4{net.DefaultResolver}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	if err := m.WaitSynced(ctx); err != nil {
		t.Error(err)
	}
	stop()
	<-done
	if diff := cmp.Diff("localhost@127.0.0.1:7000", m.Current().Endpoints[0].ID); diff != "" {
		t.Errorf("localhost, by the system's resolver (-want +got)\n%s", diff)
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	const want = `make static source: option Interval -1s is below zero`
	if _, err := static.New("", static.Options{Interval: -time.Second}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
