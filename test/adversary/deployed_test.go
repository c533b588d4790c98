// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/reattach/reattach/commons"
)

// What deploy/base gives a process, which test/chart holds: how much one
// message may have, and how much memory there is, of which Go is told 95 %.
const (
	deployedMessage = 4 << 20
	deployedHost    = 512 << 20
	deployedPlugin  = 128 << 20
	// deployedCalls is how many calls with the largest messages fit at once.
	deployedCalls = 3
)

func goMemory(limit int64) string { return fmt.Sprintf("GOMEMLIMIT=%d000000", limit>>20) }

// TestDeployedMemory has host and plugin, as they are deployed, carry the largest messages
// that they allow, several at once. Each byte of an answer takes six in JSON, and four
// when it is printed.
func TestDeployedMemory(t *testing.T) {
	t.Parallel()
	order := "control " + strconv.Itoa(deployedMessage-1<<10)
	bound := strconv.Itoa(deployedMessage)
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			plugin := startPlugin(t, "PLUGIN_MAX_MESSAGE="+bound, goMemory(deployedPlugin))
			p := run(t, "basic", []string{"serve"}, []string{
				"BASIC_LISTEN=127.0.0.1:0", "PLUGIN_DIR=", "NETWORK_PLUGIN=evil=" + plugin.addr, "CONTRACT_VERSIONS=" + version,
				"GREET_NAME=" + order, "HOST_MAX_MESSAGE=" + bound, goMemory(deployedHost),
			})
			line, err := bufio.NewReader(p.stdout).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, `evil  greet: \x01\x01`) || len(line) > 1<<10 {
				t.Errorf("%d bytes are printed, %.100q, %v", len(line), line, err)
			}
			d := &daemonProcess{p, p.log.await(t, `serving HTTP: address=(\S+)`)}
			f := measure(t, "%d messages of 4 MiB at once, as deployed, in version %s", deployedCalls, version)
			_, greeter := plugin.attach(map[string]int{"1": commons.VersionNetRPC, "2": commons.VersionGRPC}[version])
			var calls sync.WaitGroup
			for range deployedCalls {
				calls.Go(func() {
					status, err := d.callAndDiscard("evil", order)
					if err != nil || status != http.StatusOK {
						t.Errorf("a call over HTTP: %d, %v", status, err)
					}
				})
				calls.Go(func() {
					if _, err := greeter.Greet("echo " + strings.Repeat("\x01", deployedMessage-1<<10)); err != nil {
						t.Errorf("a call of another host: %v", err)
					}
				})
			}
			calls.Wait()
			f.bytes("memory of the host", d.peakMemory(), deployedHost)
			f.bytes("memory of the plugin", plugin.peakMemory(), deployedPlugin)
		})
	}
}

// callAndDiscard calls a plugin, and reads what it answers without keeping it. A slow
// machine may not read 24 MB in the time that the API gives a client; the host had all of
// it in memory before.
func (d *daemonProcess) callAndDiscard(plugin, order string) (status int, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post("http://"+d.addr+methodPath(plugin), jsonBody, strings.NewReader(fmt.Sprintf("[%q]", order)))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, nil
}
