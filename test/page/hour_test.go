// SPDX-License-Identifier: MPL-2.0

package page

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/reattach/reattach/host/history"
)

// madeUp serves a host with an hour of calls that nobody has made, for screenshots: the
// tests of the history have real ones, and no test waits for an hour.
func madeUp(t *testing.T, host string) string {
	t.Helper()
	to, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	window := history.Window{StepSeconds: 30, Slot: 400, ElapsedSeconds: 21}
	var names []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
		switch {
		case path == "history":
			if names == nil {
				names = pluginNames(t, host)
			}
			all := history.Overview{Window: window, All: hour("all", 400), Plugins: []history.PluginSeries{}}
			for i, name := range names {
				all.Plugins = append(all.Plugins, history.PluginSeries{Name: name, Series: hour(name, 300/float64(1+i%40))})
			}
			_ = json.NewEncoder(w).Encode(all)
		case strings.HasSuffix(path, "/history"):
			one := history.PluginHistory{Window: window, All: hour(path, 90)}
			for _, m := range []struct{ kind, method string }{{"greeter", "Greet"}, {"greeter", "Hi"}, {"pingponger", "Ping"}} {
				one.Methods = append(one.Methods, history.MethodSeries{Kind: m.kind, Method: m.method, Series: hour(path+m.method, 60)})
			}
			_ = json.NewEncoder(w).Encode(one)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return web.URL + "/"
}

func pluginNames(t *testing.T, host string) (names []string) {
	answer, err := http.Get(host + "api/v1/plugins")
	if err != nil {
		t.Error(err)
		return nil
	}
	defer answer.Body.Close()
	var found struct{ Plugins []struct{ Name string } }
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		t.Error(err)
	}
	for _, p := range found.Plugins {
		names = append(names, p.Name)
	}
	return names
}

// hour makes up how calls fared, the same for the same name: about so many in a second,
// and an incident of the network.
func hour(name string, perSecond float64) history.Series {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name))
	random := rand.New(rand.NewPCG(sum.Sum64(), 1))
	phase, height, incident := 6*random.Float64(), .2+random.Float64(), random.IntN(3) == 0 || name == "all"
	base := .3 * math.Exp(random.NormFloat64())
	var s history.Series
	for i := range history.Slots + 1 {
		rate := perSecond * height * (1 + .35*math.Sin(phase+float64(i)/19) + .08*random.NormFloat64())
		seconds, bad := 30.0, incident && i > 70 && i < 81
		if i == history.Slots {
			seconds = 21
		}
		calls := uint32(max(0, rate*seconds))
		var network, plugin uint32
		slow := 1.0
		if bad {
			network, slow = calls/uint32(6+random.IntN(8)), 7+2*random.Float64()
		}
		if random.IntN(40) == 0 {
			plugin = calls / 60
		}
		s.Calls = append(s.Calls, calls)
		s.Failed.Network, s.Failed.Plugin, s.Failed.Host = append(s.Failed.Network, network), append(s.Failed.Plugin, plugin), append(s.Failed.Host, 0)
		s.P50 = append(s.P50, history.Millis(base*(1+.05*random.NormFloat64())))
		s.P99 = append(s.P99, history.Millis(base*6*slow*(1+.15*math.Abs(random.NormFloat64()))))
	}
	return s
}
