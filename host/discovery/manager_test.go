// SPDX-License-Identifier: MPL-2.0

package discovery_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func endpoint(plugin, address string) target.Endpoint {
	return target.Endpoint{
		ID: target.MakeID(plugin, address), Plugin: plugin,
		Placement: target.Network, Address: address,
	}
}

func group(key string, endpoints ...target.Endpoint) target.Group {
	return target.Group{Key: key, Endpoints: endpoints}
}

// start runs a manager until the test's bubble ends.
func start(t *testing.T, opts discovery.Options) *discovery.Manager {
	t.Helper()
	m, err := discovery.NewManager(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return m
}

func ids(set *discovery.Set) []string {
	out := []string{}
	for _, e := range set.Endpoints {
		out = append(out, e.ID+" from "+e.Source)
	}
	return out
}

func wantIDs(t *testing.T, reason string, set *discovery.Set, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), ids(set)); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", reason, diff)
	}
}

func TestManagerMergesGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := manual.New("one", group("k", endpoint("zh", "h:1")))
		two := manual.New("two")
		m := start(t, discovery.Options{Sources: []discovery.Source{one, two}})
		synctest.Wait()
		wantIDs(t, "the first state", m.Current(), "zh@h:1 from one")

		one.Update(group("l", endpoint("en", "h:2")), group("k", endpoint("zh", "h:1"), endpoint("zh", "h:0x")))
		synctest.Wait()
		wantIDs(t, "a bad group is refused, its key keeps the last good one, the other key counts", m.Current(),
			"en@h:2 from one", "zh@h:1 from one")

		two.Update(group("k", endpoint("zh", "h:3")))
		synctest.Wait()
		wantIDs(t, "keys of different sources do not meet", m.Current(),
			"en@h:2 from one", "zh@h:1 from one", "zh@h:3 from two")

		one.Update(group("k"))
		synctest.Wait()
		wantIDs(t, "an empty group withdraws", m.Current(), "en@h:2 from one", "zh@h:3 from two")
	})
}

func TestManagerReportsConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, early := endpoint("zh", "h:1"), endpoint("zh", "h:1")
		late.Fingerprint = "late"
		one := manual.New("one", group("b", early), group("c", endpoint("zh", "h:1")))
		two := manual.New("two", group("a", late))
		m := start(t, discovery.Options{Sources: []discovery.Source{one, two}})
		synctest.Wait()
		early.Source = "one"
		if diff := cmp.Diff([]target.Endpoint{early}, m.Current().Endpoints); diff != "" {
			t.Errorf("the source that comes first wins (-want +got)\n%s", diff)
		}
		want := []target.Problem{
			{Plugin: "zh", Subject: "zh@h:1", Reason: "source one names it more than once; only the first is used", Source: "one"},
			{Plugin: "zh", Subject: "zh@h:1", Reason: "source two names it as well; only the one of source one is used", Source: "two"},
		}
		if diff := cmp.Diff(want, m.Current().Problems); diff != "" {
			t.Errorf("conflicts (-want +got)\n%s", diff)
		}
		one.Update(group("b"), group("c"))
		synctest.Wait()
		wantIDs(t, "the other takes over", m.Current(), "zh@h:1 from two")
		if diff := cmp.Diff(0, len(m.Current().Problems)); diff != "" {
			t.Errorf("problems left (-want +got)\n%s", diff)
		}
	})
}

func TestManagerCollectsPluginsAndProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := manual.New("one", target.Group{
			Key: "k", Plugins: []target.Plugin{{Name: "zh"}, {Name: "absent"}},
			Problems: []target.Problem{{Subject: "f", Reason: "r"}},
		})
		two := manual.New("two", target.Group{
			Key: "k", Plugins: []target.Plugin{{Name: "absent", Required: true}},
			Endpoints: []target.Endpoint{endpoint("en", "h:1")},
		})
		m := start(t, discovery.Options{Sources: []discovery.Source{one, two}})
		synctest.Wait()
		want := []target.Plugin{{Name: "absent", Required: true}, {Name: "en"}, {Name: "zh"}}
		if diff := cmp.Diff(want, m.Current().Plugins); diff != "" {
			t.Errorf("plugins, declared or with an endpoint (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]target.Problem{{Subject: "f", Reason: "r", Source: "one"}}, m.Current().Problems); diff != "" {
			t.Errorf("problems (-want +got)\n%s", diff)
		}
	})
}

// TestManagerMergesEveryFieldOfAPlugin: what one source says of a plugin stays when
// another one declares it as well, whichever comes first, and whatever the field.
func TestManagerMergesEveryFieldOfAPlugin(t *testing.T) {
	for field := range reflect.TypeFor[target.Plugin]().Fields() {
		said := target.Plugin{Name: "zh"}
		switch v := reflect.ValueOf(&said).Elem().FieldByIndex(field.Index); v.Kind() {
		case reflect.Bool:
			v.SetBool(true)
		case reflect.String:
			v.SetString("zh")
		default:
			t.Fatalf("field %s is a %s: say here what a value of it is", field.Name, field.Type)
		}
		for _, declared := range [][]target.Plugin{{said, {Name: "zh"}}, {{Name: "zh"}, said}} {
			synctest.Test(t, func(t *testing.T) {
				m := start(t, discovery.Options{Sources: []discovery.Source{
					manual.New("one", target.Group{Key: "k", Plugins: declared[:1]}),
					manual.New("two", target.Group{Key: "k", Plugins: declared[1:]}),
				}})
				synctest.Wait()
				if diff := cmp.Diff([]target.Plugin{said}, m.Current().Plugins); diff != "" {
					t.Errorf("field %s of the plugin (-want +got)\n%s", field.Name, diff)
				}
			})
		}
	}
}

func TestManagerSlowReaderSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := manual.New("one")
		m := start(t, discovery.Options{Sources: []discovery.Source{src}})
		synctest.Wait()
		before := m.Current().Generation
		for i := range 100 {
			src.Update(group("k", endpoint("zh", fmt.Sprintf("h:%d", i+1))))
			synctest.Wait() // the manager has published it; nobody has read
		}
		set := <-m.Sets()
		wantIDs(t, "a reader that comes late gets the newest", set, "zh@h:100 from one")
		if got := set.Generation - before; got != 100 {
			t.Errorf("the generation grew by %d, want 100: one for each change", got)
		}
		src.Update(group("k", endpoint("zh", "h:100")))
		synctest.Wait()
		select {
		case set := <-m.Sets():
			t.Errorf("a set that says nothing new was offered: %+v", set)
		default:
		}
	})
}

func TestManagerClosesSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := discovery.NewManager(discovery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go m.Run(ctx)
		if set := <-m.Sets(); !set.Synced {
			t.Error("without sources the empty set is synced")
		}
		stop()
		if _, open := <-m.Sets(); open {
			t.Error("the channel is open after Run")
		}
		if err := m.Run(t.Context()); err == nil {
			t.Error("a second Run did not fail")
		}
	})
}

func TestNewManagerRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		opts   discovery.Options
		want   string
	}{
		"SameName": {"status and conflicts name sources", discovery.Options{Sources: []discovery.Source{manual.New("a"), manual.New("a")}}, `make discovery manager: two sources are named "a"`},
		"NoName":   {"as above", discovery.Options{Sources: []discovery.Source{manual.New("")}}, `make discovery manager: source 0 has no name`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := discovery.NewManager(tc.opts)
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// BenchmarkManagerUpdate measures one change of one group among many, as a
// large cluster makes them.
func BenchmarkManagerUpdate(b *testing.B) {
	const services, perService = 1000, 5
	groups := make([]target.Group, services)
	for i := range groups {
		groups[i].Key = fmt.Sprintf("service-%04d", i)
		for j := range perService {
			groups[i].Endpoints = append(groups[i].Endpoints, endpoint(groups[i].Key, fmt.Sprintf("10.0.%d.%d:%d", i/250, i%250, j+1)))
		}
	}
	src := manual.New("one", groups...)
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{src}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	if err := m.WaitSynced(ctx); err != nil {
		b.Fatal(err)
	}
	for len((<-m.Sets()).Endpoints) == 0 {
		continue
	}
	b.ReportAllocs()
	changed := groups[services/2].Clone()
	for b.Loop() {
		changed.Endpoints[0].Draining = !changed.Endpoints[0].Draining
		src.Update(changed)
		<-m.Sets()
	}
	stop()
	<-done
}
