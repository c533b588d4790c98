// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/shim/attach"
	"github.com/reattach/reattach/host/shim/expose"
	"github.com/reattach/reattach/host/stub"
)

// TestShimsLeaveTheEnvironment holds that a shim is not called what the executable or the host
// is, and that what only those know is a warning.
func TestShimsLeaveTheEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		own, theirs string
		err         error
		want        string // names of expose and attach
	}{
		"theirs":  {theirs: "store", want: "basic-expose basic-attach"},
		"own":     {own: "relay", theirs: "store", want: "relay relay"},
		"neither": {want: "basic-expose basic-attach"},
		"console": {theirs: "store", err: errors.New(`OTEL_TRACES_EXPORTER="console": want otlp or none`), want: "basic-expose basic-attach"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("BASIC_OTEL_SERVICE_NAME", test.own)
			t.Setenv(serviceName, test.theirs)
			var log bytes.Buffer
			logger := hclog.New(&hclog.LoggerOptions{Output: &log})
			var called []string
			o := Options{Name: "basic", Tracer: func(service string, fixed bool, _ hclog.Logger) (stub.Tracer, func(), error) {
				if !fixed {
					t.Errorf("somebody else may name %s", service)
				}
				called = append(called, service)
				return nil, func() {}, test.err
			}}
			e, a := expose.Options{Logger: logger}, attach.Options{Logger: logger}
			o.followExposed(&e)()
			(&config{program: o}).followAttached(&a)()
			if got := strings.Join(called, " "); got != test.want {
				t.Errorf("they are called %q, want %q", got, test.want)
			}
			if now := os.Getenv(serviceName); now != test.theirs {
				t.Errorf("%s is %q", serviceName, now)
			}
			warned := strings.Count(log.String(), "[WARN]")
			if want := map[bool]int{true: 2}[test.err != nil]; warned != want || want > 0 && !strings.Contains(log.String(), "console") {
				t.Errorf("want %d warnings, the log has\n%s", want, &log)
			}
		})
	}
}
