// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// daemonProcess is a basic serve.
type daemonProcess struct {
	*process
	addr string // of its API
}

// serveHost starts basic serve, and waits until its API listens.
func serveHost(t *testing.T, env ...string) *daemonProcess {
	t.Helper()
	p := run(t, "basic", []string{"serve"}, append([]string{"BASIC_LISTEN=127.0.0.1:0", "PLUGIN_DIR="}, env...))
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }()
	return &daemonProcess{p, p.log.await(t, `serving HTTP: address=(\S+)`)}
}

// ask makes one request on a connection of its own, as a probe does, and gives status
// and body.
func (d *daemonProcess) ask(method, path, body string, header ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+d.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(raw), err
}

const jsonBody = "application/json"

// methodPath is where a greeter of a plugin is called.
func methodPath(plugin string) string {
	return "/api/v1/plugins/" + plugin + "/kinds/greeter/methods/Greet"
}

// greet calls a plugin. It is an error if that is not answered with a greeting.
func (d *daemonProcess) greet(plugin, order string) error {
	status, body, err := d.ask(http.MethodPost, methodPath(plugin), fmt.Sprintf("[%q]", order), "Content-Type", jsonBody)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("plugin %s: %d %.300s", plugin, status, body)
	}
	return err
}

// healthy asks for the health. It is an error if that is not well.
func (d *daemonProcess) healthy() error {
	status, body, err := d.ask(http.MethodGet, "/healthz", "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/healthz: %d %.300s", status, body)
	}
	return err
}

// awaitReady waits until a plugin answers.
func (d *daemonProcess) awaitReady(plugins ...string) {
	d.t.Helper()
	for _, plugin := range plugins {
		eventually(d.t, func() error { return d.greet(plugin, "Ada") })
	}
}

// metric reads one of the host's own numbers.
func (d *daemonProcess) metric(name string) int {
	d.t.Helper()
	_, body, err := d.ask(http.MethodGet, "/metrics", "")
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int(n)
		}
	}
	d.t.Fatalf("there is no metric %s", name)
	return 0
}

// post sends a request for a call in pieces: its head here, its body by the caller.
func (d *daemonProcess) post(plugin string, length int) *net.TCPConn {
	d.t.Helper()
	conn := dial(d.t, d.addr)
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		methodPath(plugin), d.addr, jsonBody, length)
	if err != nil {
		d.t.Fatal(err)
	}
	return conn
}

// answer reads what was answered on a connection, and gives the status; zero if it
// was closed.
func answer(conn net.Conn) int {
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = got.Body.Close()
	return got.StatusCode
}

// beside runs an attack while an honest client asks for the health, and another calls
// the plugin good.
func (d *daemonProcess) beside(f *figures, good string, attack func()) time.Duration {
	d.t.Helper()
	health := keepAsking(d.t, d.healthy)
	var calls *honest
	if good != "" {
		calls = keepAsking(d.t, func() error { return d.greet(good, "Ada") })
	}
	began := time.Now()
	attack()
	lasted := time.Since(began)
	f.served("/healthz", health)
	if calls != nil {
		f.served("calls of the good plugin", calls)
	}
	return lasted
}
