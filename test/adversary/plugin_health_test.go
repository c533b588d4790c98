// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// maxProbes connections may be at PLUGIN_HEALTH_ADDR.
const maxProbes = 64

// kubeletTries is how often a probe may fail before the kubelet acts (failureThreshold).
const kubeletTries = 3

// TestHealthUnderAttack: whatever clients do at PLUGIN_HEALTH_ADDR, a probe of the
// kubelet is answered in time, at the third try at the latest.
func TestHealthUnderAttack(t *testing.T) {
	t.Parallel()
	endless := "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Header: "+strings.Repeat("x", 1000)+"\r\n", 100)
	attacks := map[string]string{
		"say nothing":            "",
		"pipeline, read nothing": strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 2000),
		"endless headers":        endless,
		"half a request":         "GET /healthz HT",
		"garbage":                strings.Repeat("\xff\x00\x1b", 1000),
		"endless bodies":         "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + strings.Repeat("x", 100_000),
	}
	for name, sent := range attacks {
		t.Run(name, func(t *testing.T) {
			health := address.Hold(t)
			v := startPlugin(t, "PLUGIN_HEALTH_ADDR="+health)
			v.log.await(t, `(plugin serves on the network)`)
			f := measure(t, "1000 clients of PLUGIN_HEALTH_ADDR that %s", name)
			ask := func() error {
				client := http.Client{Timeout: promptly, Transport: &http.Transport{DisableKeepAlives: true}}
				got, err := client.Get("http://" + health + "/healthz")
				if err != nil {
					return err
				}
				defer got.Body.Close()
				if got.StatusCode != http.StatusOK {
					return fmt.Errorf("%s", got.Status)
				}
				return nil
			}
			// One that is pushed out by 64 newer ones before it is answered fails, and the
			// kubelet asks again.
			probe := keepAsking(t, func() (err error) {
				for range kubeletTries {
					if err = ask(); err == nil {
						return nil
					}
				}
				return err
			})
			most := 0
			for range 1000 {
				conn := dial(t, health)
				_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = io.WriteString(conn, sent)
				most = max(most, v.descriptors())
			}
			f.served("the kubelet's probe", probe)
			f.count("descriptors", most, 2*maxProbes+sparePlugin) // some are being closed
			f.bytes("memory", v.peakMemory(), strangersMemory)
			f.bytes("log", v.log.size(), logBound(0))
		})
	}
}
