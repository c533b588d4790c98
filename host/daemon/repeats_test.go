// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// TestRepeatsAreShown holds that what a host declares of a method is what it shows.
func TestRepeatsAreShown(t *testing.T) {
	cases := map[string]struct {
		declared stub.CallOptions
		repeats  int
		timeout  string
	}{
		"not idempotent": {stub.CallOptions{}, 0, "30s"},
		"idempotent":     {stub.CallOptions{Idempotent: true}, stub.DefaultRepeats, "30s"},
		"thrice":         {stub.CallOptions{Idempotent: true, Repeats: 3, Timeout: time.Second}, 3, "1s"},
		"none":           {stub.CallOptions{Idempotent: true, Repeats: stub.NoRepeats}, 0, "30s"},
		"stream":         {stub.CallOptions{Stream: true}, 0, ""},
	}
	for name, tc := range cases {
		o := options("greeter=127.0.0.1:1")
		o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithMethod("Greet", tc.declared), daemon.WithSwitch(commons.SwitchGreeter))}
		o.CallTimeout = 30 * time.Second
		d, err := daemon.New(o)
		if err != nil {
			t.Fatal(err)
		}
		m := d.Kinds()[0].Methods[0]
		if m.Name != "Greet" || m.Repeats != tc.repeats || m.Timeout != tc.timeout || m.Idempotent != tc.declared.Idempotent {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func TestRepeatsAreChecked(t *testing.T) {
	for _, wrong := range []stub.CallOptions{{Repeats: 1}, {Idempotent: true, Repeats: -2}, {Idempotent: true, Stream: true, Repeats: 1}} {
		o := options("greeter=127.0.0.1:1")
		o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithMethod("Greet", wrong), daemon.WithSwitch(commons.SwitchGreeter))}
		if _, err := daemon.New(o); err == nil || !strings.Contains(err.Error(), "method Greet: Repeats is") {
			t.Errorf("%+v: got %v", wrong, err)
		}
	}
}
