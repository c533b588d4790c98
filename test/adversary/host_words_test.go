// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// childLog is what a child's output may cost the host's log in a second: 1 MiB, which is
// some more with what stands around each line.
const childLog = 3 << 19

// TestLargeAnswers calls a plugin that answers with as much as it is told to, in both
// protocols. What is within the bound of a message arrives, or is an error of the call;
// the session lives.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		for _, order := range []string{"reply 67100000", "error 67100000", "reply 600000000", "error 600000000"} {
			t.Run(order+" in version "+version, func(t *testing.T) {
				evil := startPlugin(t, "PLUGIN_MAX_MESSAGE=-1") // it keeps to no bound
				good := startPlugin(t)
				d := serveHost(t, "NETWORK_PLUGIN=good="+good.addr+",evil="+evil.addr, "CONTRACT_VERSIONS="+version)
				d.awaitReady("good", "evil")
				f := measure(t, "a plugin that is told %q, in version %s", order, version)
				d.beside(f, "good", func() {
					status, body, err := d.ask(http.MethodPost, methodPath("evil"), fmt.Sprintf("[%q]", order), "Content-Type", jsonBody)
					if err != nil || status != http.StatusOK && len(body) > 8<<10 {
						t.Errorf("%d, %d bytes, %v", status, len(body), err)
					}
				})
				d.awaitReady("evil")
				f.bytes("memory", d.peakMemory(), messageMemory)
				f.bytes("log", d.log.size(), hostLog)
			})
		}
	}
}

// TestFloodsOfOutput has a plugin write as fast as it can, as a child and over the
// network, while it serves.
func TestFloodsOfOutput(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"flood 20", "line 20"} {
		t.Run("network "+order, func(t *testing.T) {
			evil := startPlugin(t)
			underAttack(t, "a network plugin that is told "+order, evil.addr, hostMemory, func(d *daemonProcess) {
				if err := d.greet("evil", order); err != nil {
					t.Error(err)
				}
			})
		})
		t.Run("child "+order, func(t *testing.T) {
			besideChild(t, order, "", func(d *daemonProcess) {
				d.awaitReady("evil")
				if err := d.greet("evil", order); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestHostileChildren starts children that never serve, or flood.
func TestHostileChildren(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"exit", "endless line", "endless stdout", "flood stderr", "silent"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			besideChild(t, how, how, func(*daemonProcess) { time.Sleep(attackTime) })
		})
	}
}

// besideChild runs a host with a hostile child, told by its environment how to be, and
// a good network plugin.
func besideChild(t *testing.T, title, how string, attack func(*daemonProcess)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "peer.po"), filepath.Join(dir, "evil.po")); err != nil {
		t.Fatal(err)
	}
	good := startPlugin(t)
	d := serveHost(t, "PLUGIN_DIR="+dir, "NETWORK_PLUGIN=good="+good.addr, "PEER="+how)
	d.awaitReady("good")
	f := measure(t, "a child: %s", title)
	goroutines, fds := d.metric("go_goroutines"), d.descriptors()
	lasted := d.beside(f, "good", func() { attack(d) })
	f.bytes("memory", d.peakMemory(), hostMemory)
	f.bytes("log", d.log.size(), int64(lasted/time.Second+2)*childLog)
	f.count("descriptors more", d.descriptors()-fds, spareHost)
	f.count("goroutines more", d.metric("go_goroutines")-goroutines, spareHost)
}
