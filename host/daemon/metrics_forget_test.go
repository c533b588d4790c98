// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/stub"
)

// TestForgottenSeriesStayAway holds that a call that ends when its plugin is forgotten, or
// later, makes no series of it: nobody would delete them.
func TestForgottenSeriesStayAway(t *testing.T) {
	call := stub.Call{Method: "Greet", Took: time.Millisecond, Attempts: 3, Repeats: 1}
	for name, known := range map[string]bool{"forgotten before": false, "forgotten while its series are made": true} {
		t.Run(name, func(t *testing.T) {
			var m *metrics
			forgotten := make(chan struct{})
			m = newMetrics(func(string) bool {
				if !known {
					close(forgotten)
					return false
				}
				go func() { // has to wait until the series are there
					defer close(forgotten)
					m.forget("zh")
				}()
				return true
			})
			m.calls("zh", "greeter").Called(call)
			<-forgotten
			registry := prometheus.NewRegistry()
			for _, v := range m.vectors() {
				registry.MustRegister(v)
			}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				t.Errorf("there is %s", f)
			}
			if o := m.history.Overview(0); len(o.Plugins) > 0 {
				t.Errorf("the history has %v", o.Plugins)
			}
		})
	}
}
