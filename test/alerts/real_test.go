// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

// TestReal holds that each alert fires on what a real host and real plugins show when they
// fail, no other does with it, and none in a rollout.
func TestReal(t *testing.T) {
	fired := make(map[string]bool)
	complete := true
	for _, scenario := range []struct {
		name string
		play func(*testing.T) []string // gives the alerts that fired
	}{
		{"Rollout", rollout}, {"Killed", killed}, {"Frozen", frozen}, {"Stalls", stalls}, {"GivenUp", givenUp}, {"Errors", errorsOfPlugin},
		{"Storm", storm}, {"NameUnknown", nameUnknown}, {"CertificateOld", certificateOld}, {"CertificateEnds", certificateEnds},
	} {
		ran := t.Run(scenario.name, func(t *testing.T) {
			for _, alert := range scenario.play(t) {
				fired[alert] = true
			}
		})
		complete = complete && ran
	}
	for _, rule := range alerts(t) {
		if complete && !fired[rule.Alert] && flag.Lookup("test.run").Value.String() == "" {
			t.Errorf("%s fires in no scenario of real processes", rule.Alert)
		}
	}
}

// rollout replaces every replica under calls, more slowly than a cluster does, as
// Prometheus sees it.
func rollout(t *testing.T) []string {
	list := kit.Addresses(t, 2)
	replicas := []*kit.Process{replica(t, list[0]), replica(t, list[1])}
	h := host(t, "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	p := newPrometheus(t, h.url)
	work := func() {
		for range 20 {
			greet(t, h.url)
		}
	}
	p.during(10*time.Minute, work)
	for i, r := range replicas {
		r.End(syscall.SIGTERM)
		p.during(30*time.Second, work)
		replicas[i] = replica(t, list[i])
		until(t, "both are ready", func() error { return attached(t, h.url, 2) })
		p.during(5*time.Minute, work)
	}
	p.during(10*time.Minute, work)
	return wantFired(t, p)
}

// killed: every replica is gone for good, then the host as well.
func killed(t *testing.T) []string {
	list := kit.Addresses(t, 2)
	replicas := []*kit.Process{replica(t, list[0]), replica(t, list[1])}
	h := host(t, "CALL_TIMEOUT=500ms", "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	p := newPrometheus(t, h.url)
	p.during(6*time.Minute, func() { greet(t, h.url) })
	replicas[0].End(syscall.SIGKILL)
	p.during(12*time.Minute, func() { greet(t, h.url) })
	wantFired(t, p, "ReattachEndpointsUnreachable")
	replicas[1].End(syscall.SIGKILL)
	for range 12 { // each call takes until its timeout
		greet(t, h.url)
		p.during(time.Minute, nil)
	}
	wantFired(t, p, "ReattachCallsFail", "ReattachEndpointsUnreachable", "ReattachPluginNotReady")
	h.End(syscall.SIGKILL)
	p.during(6*time.Minute, nil)
	return wantFired(t, p, "ReattachCallsFail", "ReattachEndpointsUnreachable", "ReattachHostAbsent", "ReattachPluginNotReady")
}

// frozen: one of two replicas is stopped. It is held back until its session is given
// up; from then on attempts alternate with pauses.
func frozen(t *testing.T) []string {
	list := kit.Addresses(t, 2)
	stopped := replica(t, list[0])
	replica(t, list[1])
	h := host(t, "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	until(t, "both are ready", func() error { return attached(t, h.url, 2) })
	p := newPrometheus(t, h.url)
	p.during(2*time.Minute, nil)
	stopped.Signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { stopped.Signal(t, syscall.SIGCONT) })
	until(t, "the frozen one is held back", func() error {
		if gauge(t, h.url, "reattach_endpoints_ejected", "") != 1 {
			return errors.New("no endpoint is")
		}
		return nil
	})
	// Every state that it is in from now on is seen, in whatever order.
	for _, state := range []string{"TRANSIENT_FAILURE", "CONNECTING"} {
		until(t, "the frozen one is given up, and tried again", func() error {
			if gauge(t, h.url, "reattach_endpoints", state) != 1 {
				return fmt.Errorf("none is %s", state)
			}
			return nil
		})
		p.during(6*time.Minute, nil)
	}
	return wantFired(t, p, "ReattachEndpointsUnreachable")
}

// stalls: the methods of one of two replicas do not return, though it answers pings.
func stalls(t *testing.T) []string {
	list := kit.Addresses(t, 2)
	fickle(t, list[0], "FICKLE_STALLS=1")
	fickle(t, list[1])
	h := host(t, "CALL_TIMEOUT=1s", "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	until(t, "both are ready", func() error { return attached(t, h.url, 2) })
	p := newPrometheus(t, h.url)
	p.during(time.Minute, nil)
	p.during(7*time.Minute, func() {
		until(t, "it is held back", func() error {
			if gauge(t, h.url, "reattach_endpoints_ejected", "") == 1 {
				return nil
			}
			var all sync.WaitGroup
			for range 8 { // of which at least as many wait as it takes, once it is let back
				all.Go(func() { greet(t, h.url) })
			}
			all.Wait()
			return errors.New("no endpoint is")
		})
		for range 50 { // most calls are answered
			greet(t, h.url)
		}
	})
	// How many calls it fails when it is let back depends on how long the others take: on a slow
	// machine it may be more than one in a hundred, of which another alert speaks.
	const held = "ReattachEndpointsHeld"
	got := slices.DeleteFunc(p.fired(), func(alert string) bool { return alert == "ReattachCallsFail" })
	if !slices.Equal(got, []string{held}) {
		t.Errorf("%v fired, want %s", got, held)
	}
	return []string{held}
}

// givenUp: no call is answered, and their callers give up before that can be told: the
// alert is of the plugin, and not of its calls.
func givenUp(t *testing.T) []string {
	list := kit.Addresses(t, 1)
	only := replica(t, list[0])
	h := host(t, "NETWORK_PLUGIN=zh="+list[0])
	p := newPrometheus(t, h.url)
	greet(t, h.url)
	p.during(time.Minute, nil)
	only.End(syscall.SIGKILL)
	until(t, "its end is seen", func() error { return attached(t, h.url, 0) })
	for i := range 8 {
		leave(t, h.url)
		until(t, "the call is counted", func() error {
			if n := calls(t, h.url, "caller"); n != float64(i+1) {
				return fmt.Errorf("%v calls were given up, want %d", n, i+1)
			}
			return nil
		})
		p.during(time.Minute, nil)
	}
	for _, source := range []string{"host", "network", "plugin"} {
		if n := calls(t, h.url, source); n != 0 {
			t.Errorf("%v calls that were given up are blamed on the %s", n, source)
		}
	}
	return wantFired(t, p, "ReattachPluginNotReady")
}

// errorsOfPlugin: a third of the calls is answered with errors, and one panics.
func errorsOfPlugin(t *testing.T) []string {
	list := kit.Addresses(t, 2)
	fickle(t, list[0], "PLUGIN_HEALTH_ADDR="+list[1])
	h := host(t, "NETWORK_PLUGIN=zh="+list[0])
	until(t, "it is ready", func() error { return attached(t, h.url, 1) })
	p := newPrometheus(t, h.url)
	p.pods["zh-0"] = "http://" + list[1] + "/"
	p.during(6*time.Minute, func() { greet(t, h.url) })
	ask(t, h.url, "panic")
	p.during(time.Minute, func() { greet(t, h.url) })
	wantFired(t, p, "ReattachMethodPanics")
	p.during(16*time.Minute, func() {
		for _, name := range []string{"Ada", "Bob", "error"} {
			ask(t, h.url, name)
		}
	})
	return wantFired(t, p, "ReattachMethodPanics", "ReattachPluginErrors")
}

// storm: the only replica is killed and started again, and again.
func storm(t *testing.T) []string {
	list := kit.Addresses(t, 1)
	r := fickle(t, list[0])
	h := host(t, "NETWORK_PLUGIN=zh="+list[0])
	p := newPrometheus(t, h.url)
	for range 6 {
		until(t, "it is ready", func() error { return attached(t, h.url, 1) })
		p.during(time.Minute, nil)
		r.End(syscall.SIGKILL)
		until(t, "its end is seen", func() error { return attached(t, h.url, 0) })
		p.scrape()
		r = fickle(t, list[0])
	}
	until(t, "it is ready", func() error { return attached(t, h.url, 1) })
	p.during(2*time.Minute, nil)
	return wantFired(t, p, "ReattachReconnectStorm")
}

// nameUnknown: a source of plugins has no answer.
func nameUnknown(t *testing.T) []string {
	h := host(t, "NETWORK_PLUGIN=zh=dns:///zh.invalid:7000")
	p := newPrometheus(t, h.url)
	p.during(6*time.Minute, nil)
	return wantFired(t, p, "ReattachDiscoveryStuck", "ReattachPluginNotReady")
}

// certificateEnds: the host's and the plugin's certificates end in nine minutes.
func certificateEnds(t *testing.T) []string {
	p := withCertificates(t, time.Hour, 9*time.Minute)
	p.during(time.Minute, nil)
	return wantFired(t, p, "ReattachCertificateEnds")
}

// certificateOld: they were not renewed, as ought to have been done hours ago.
func certificateOld(t *testing.T) []string {
	p := withCertificates(t, 23*time.Hour, time.Hour)
	p.during(11*time.Minute, nil)
	return wantFired(t, p, "ReattachCertificateExpires")
}

// withCertificates runs a host and a plugin whose certificates are as old as that, and end
// so soon.
func withCertificates(t *testing.T, age, left time.Duration) *prometheus {
	t.Helper()
	authority := kit.NewAuthority(t)
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		kit.Replace(t, path, content)
		return path
	}
	pair := func(name, prefix, ca string) []string {
		certificate, key := kit.PEM(t, authority.Issue(&x509.Certificate{
			DNSNames: []string{name}, NotBefore: time.Now().Add(-age), NotAfter: time.Now().Add(left),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}))
		return []string{
			prefix + "TLS_CERT_FILE=" + file("tls.crt", certificate), prefix + "TLS_KEY_FILE=" + file("tls.key", key),
			prefix + ca + "=" + file("ca.crt", authority.PEM()),
		}
	}
	list := kit.Addresses(t, 2)
	replica(t, list[0], append(pair("zh", "PLUGIN_", "TLS_CLIENT_CA_FILE"), "PLUGIN_HEALTH_ADDR="+list[1])...)
	h := host(t, append(pair("basic", "HOST_", "TLS_CA_FILE"), "NETWORK_PLUGIN=zh="+list[0])...)
	until(t, "it is ready", func() error { return attached(t, h.url, 1) })
	p := newPrometheus(t, h.url)
	p.pods["zh-0"] = "http://" + list[1] + "/"
	for url, name := range map[string]string{
		h.url:          "reattach_certificate_not_after_timestamp_seconds",
		p.pods["zh-0"]: "reattach_plugin_certificate_not_after_timestamp_seconds",
	} {
		if ends := gauge(t, url, name, "") - float64(time.Now().Unix()); ends < 0 || ends > left.Seconds() {
			t.Errorf("%s is %v s from now, want at most %v", name, ends, left.Seconds())
		}
	}
	return p
}
