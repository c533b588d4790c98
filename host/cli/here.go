// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// healthTimeout bounds the look whether a daemon runs on this machine.
const healthTimeout = time.Second

// maxHealth is how much is read of what /healthz says, in bytes.
const maxHealth = 1 << 10

// daemonHere gives the URL of a daemon that answers at the program's own address, as
// it does in the daemon's own container; empty if none does, or if the environment names
// plugins to attach to and no address.
func (c *config) daemonHere(ctx context.Context) string {
	_, asked := os.LookupEnv(c.own("LISTEN"))
	if c.Listen == "" || !asked && c.namesPlugins() {
		return ""
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	base := "http://" + net.JoinHostPort(host, port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return ""
	}
	client := c.httpClient(0)
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !saysHealthy(answer.Body) {
		return "" // some other server
	}
	return base
}

// saysHealthy reports whether an answer is that of a daemon's /healthz.
func saysHealthy(answer io.Reader) bool {
	var health struct{ Status string }
	return json.NewDecoder(io.LimitReader(answer, maxHealth)).Decode(&health) == nil && health.Status == "ok"
}
