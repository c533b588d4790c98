// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/reattach/reattach/test/kit"
)

// The caller's own span.
const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerID = "00f067aa0ba902b7"
)

// TestRepeatedCall kills the endpoint that has a call over HTTP: the call is repeated on
// another one, and both attempts are in the caller's trace, with the plugin's span beneath
// the one that was answered.
func TestRepeatedCall(t *testing.T) {
	for name, test := range map[string]struct {
		version, method string
		otlp            func(*otlp) []string
	}{
		"net/rpc": {"1", "greeter/Greet", func(r *otlp) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.http}
		}},
		"gRPC": {"2", "reattach.commons.v1.Greeter/Greet", func(r *otlp) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.grpc, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t)
			env := append(test.otlp(r), "OTEL_BSP_SCHEDULE_DELAY=50")
			list := kit.Addresses(t, 3)
			api := "http://" + list[2]
			first := replica(t, list[0], env...)
			host := program(t, "basic", append(env, "PLUGIN_DIR=", "BASIC_LISTEN="+list[2], "CONTRACT_VERSIONS="+test.version,
				"NETWORK_PLUGIN=greeter="+list[0]+",greeter="+list[1], "LOG_LEVEL=warn"), "serve")
			ready := func(n int) func() error {
				return func() error { return has(api, fmt.Sprintf(`reattach_endpoints{plugin="greeter",state="READY"} %d`, n)) }
			}
			kit.Eventually(t, patience, ready(1))
			for host.Stdout.Scan() && !strings.Contains(host.Stdout.Text(), "pingponger") {
			} // what the host asks a new plugin is over with that
			stop(t, first)
			t.Cleanup(func() { first.End(syscall.SIGKILL) }) // it does not heed any other
			answered := make(chan string, 1)
			go func() { answered <- greet(api) }()
			kit.Eventually(t, patience, func() error {
				if len(answered) > 0 {
					t.Fatal(<-answered)
				}
				return has(api, `reattach_calls_in_flight{plugin="greeter"} 1`)
			})
			replica(t, list[1], env...)
			kit.Eventually(t, patience, ready(2))
			first.Signal(t, syscall.SIGKILL)
			if answer := <-answered; answer != `200 {"result":"Hello Ada"}` {
				t.Fatal(answer)
			}
			kit.Eventually(t, patience, func() error {
				if all := r.of(traceID); len(all) != 4 {
					return fmt.Errorf("want 4 spans, got %d:\n%s", len(all), told(all))
				}
				return nil
			})
			checkRepeated(t, r.of(traceID), test.method, list)
			if err := hasExemplar(api); err != nil {
				t.Error(err)
			}
		})
	}
}

func checkRepeated(t *testing.T, all []span, method string, list []string) {
	t.Helper()
	by := make(map[string]span)
	for _, s := range all {
		by[s.service+" "+s.Name()+" "+s.Kind().String()+" "+s.attribute("reattach.attempt")] = s
	}
	t.Log("\n" + told(all))
	call, lost, won, plugin := by["basic greeter/Greet Internal "], by["basic "+method+" Client 1"], by["basic "+method+" Client 2"], by["greeter "+method+" Server "]
	for what, s := range map[string]span{"call": call, "first attempt": lost, "second attempt": won, "plugin": plugin} {
		if s.Span == (ptrace.Span{}) {
			t.Fatalf("there is no span of the %s", what)
		}
	}
	for what, got := range map[string][2]string{
		"the call is beneath the caller's":            {call.ParentSpanID().String(), callerID},
		"the first attempt is beneath the call":       {lost.ParentSpanID().String(), call.SpanID().String()},
		"the second one is beneath the call":          {won.ParentSpanID().String(), call.SpanID().String()},
		"the plugin's is beneath the second attempt":  {plugin.ParentSpanID().String(), won.SpanID().String()},
		"the first attempt was on the first endpoint": {lost.attribute("reattach.endpoint"), "greeter@" + list[0]},
		"the second one was on the other":             {won.attribute("reattach.endpoint"), "greeter@" + list[1]},
		"the first attempt was lost by the network":   {lost.attribute("reattach.error_source") + " " + lost.attribute("error.type"), "network lost"},
		"it may have run":                             {lost.attribute("reattach.may_have_run"), "true"},
		"only the first attempt failed": {
			fmt.Sprint(call.Status().Code(), lost.Status().Code(), won.Status().Code(), plugin.Status().Code()), "Unset Error Unset Unset"},
		"the call knows its attempts":   {call.attribute("reattach.attempts") + call.attribute("reattach.repeats"), "21"},
		"an attempt says where it went": {won.attribute("server.address") + ":" + won.attribute("server.port"), list[1]},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %q, want %q", what, got[0], got[1])
		}
	}
}

// stop stops a process, and returns when it is stopped.
func stop(t *testing.T, p *kit.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGSTOP)
	kit.Eventually(t, patience, func() error {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
		for _, task := range tasks {
			stat, err := os.ReadFile(task)
			if err == nil && !strings.Contains(string(stat), ") T ") {
				return fmt.Errorf("it still runs: %s", stat)
			}
		}
		return err
	})
}

// told writes spans as people read them.
func told(all []span) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s %s %s: %s beneath %s, status %s %q, %v\n", s.service, s.Kind(), s.Name(), s.SpanID(), s.ParentSpanID(),
			s.Status().Code(), s.Status().Message(), s.Attributes().AsRaw())
	}
	return b.String()
}

// greet calls over HTTP, as part of the caller's trace.
func greet(api string) string {
	r, err := http.NewRequest(http.MethodPost, api+"/api/v1/plugins/greeter/kinds/greeter/methods/Greet", strings.NewReader(`["Ada"]`))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", "00-"+traceID+"-"+callerID+"-01")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSpace(string(body)))
}

// hasExemplar reports whether the histogram of latencies names the trace, to whoever takes
// OpenMetrics.
func hasExemplar(api string) error {
	r, err := http.NewRequest(http.MethodGet, api+"/metrics", http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), `reattach_call_duration_seconds_bucket{`) && strings.Contains(lines.Text(), `# {trace_id="`+traceID+`"}`) {
			return nil
		}
	}
	return errors.New("no bucket of reattach_call_duration_seconds has the trace as its exemplar")
}

// has reports whether the metrics of a host have a line.
func has(api, line string) error {
	answer, err := http.Get(api + "/metrics")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && !strings.Contains(string(body), "\n"+line+"\n") {
		err = fmt.Errorf("the metrics have no %s", line)
	}
	return err
}
