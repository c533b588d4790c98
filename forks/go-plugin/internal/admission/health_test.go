// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestProbesBesideReadersOfNothing: clients that ask on and on and read nothing hold a
// bounded number of connections, and the kubelet's probe gets in.
func TestProbesBesideReadersOfNothing(t *testing.T) {
	draining := make(chan struct{})
	panics := new(atomic.Uint64)
	s, err := StartHealth("127.0.0.1:0", draining, Measured{Panics: panics.Load}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	request := bytes.Repeat([]byte("GET /readyz HTTP/1.1\r\nHost: plugin\r\n\r\n"), 1000)
	for range 3 * maxProbes {
		conn, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(request) // it may be closed already
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: probeTimeout}
	defer client.CloseIdleConnections()
	probe := func(path string) int {
		t.Helper()
		answer, err := client.Get("http://" + s.addr.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if !answer.Close {
			t.Errorf("%s: the connection stays", path)
		}
		return answer.StatusCode
	}
	if healthy, ready := probe("/healthz"), probe("/readyz"); healthy != 200 || ready != 200 {
		t.Errorf("/healthz gives %d and /readyz %d", healthy, ready)
	}
	s.probes.mu.Lock()
	held := s.probes.conns.Len()
	s.probes.mu.Unlock()
	if held > maxProbes {
		t.Errorf("%d connections are held, of at most %d", held, maxProbes)
	}
	close(draining)
	if healthy, ready := probe("/healthz"), probe("/readyz"); healthy != 200 || ready != 503 {
		t.Errorf("while it drains, /healthz gives %d and /readyz %d", healthy, ready)
	}
}

// TestHealthTroubleIsLogged: what the HTTP server says of itself is in the plugin's log.
func TestHealthTroubleIsLogged(t *testing.T) {
	var out bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true})
	s, err := StartHealth("127.0.0.1:0", nil, Measured{Panics: noPanics}, logger)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.http.ErrorLog.Print("http: Accept error: too many open files; retrying in 5ms")
	if got, want := out.String(), "[WARN]  health: http: Accept error: too many open files; retrying in 5ms\n"; got != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

// TestAcceptTrouble: what comes a hundred times a second is logged twice a minute at
// the most, and its end as well.
func TestAcceptTrouble(t *testing.T) {
	var log bytes.Buffer
	trouble := acceptTrouble{logger: hclog.New(&hclog.LoggerOptions{Output: &log})}
	at := time.Now()
	for range 90 * 100 { // for a minute and a half
		trouble.report(errors.New("too many open files"), at)
		trouble.over(at) // one connection gets in between
		at = at.Add(10 * time.Millisecond)
	}
	if got := strings.Count(log.String(), "[ERROR]"); got != 2 {
		t.Errorf("9000 errors were logged %d times:\n%s", got, log.String())
	}
	if strings.Contains(log.String(), "[INFO]") {
		t.Errorf("it is not over:\n%s", log.String())
	}
	trouble.over(at.Add(troubleEvery))
	trouble.over(at.Add(2 * troubleEvery))
	if got := strings.Count(log.String(), "accepted again"); got != 1 {
		t.Errorf("its end was logged %d times:\n%s", got, log.String())
	}
}

// TestPanicsAreCounted: what the process has survived can be scraped.
func TestPanicsAreCounted(t *testing.T) {
	panics := new(atomic.Uint64)
	panics.Store(3)
	s, err := StartHealth("127.0.0.1:0", nil, Measured{Panics: panics.Load}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{}, Timeout: probeTimeout}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + s.addr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), "\nreattach_plugin_method_panics_total 3\n") {
		t.Errorf("/metrics gives %q, %v", body, err)
	}
}
