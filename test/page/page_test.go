// SPDX-License-Identifier: MPL-2.0

package page

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// plugins starts three replicas of pluginzh and gives what kills each; a host finds them,
// and a plugin where nobody listens.
func plugins(t *testing.T) (url string, replicas []string, killed func(i int)) {
	t.Helper()
	if browser == "" {
		t.Skip("no browser is on this machine: install chromium, or name one with CHROMIUM")
	}
	list := addresses(t, 4)
	var kills []func()
	for _, a := range list[:3] {
		cmd := replica(t, a)
		kills = append(kills, func() { kill(cmd, syscall.SIGKILL) })
	}
	url = host(t, fmt.Sprintf("NETWORK_PLUGIN=pluginzh=%s,pluginzh=%s,pluginzh=%s,store=%s", list[0], list[1], list[2], list[3]))
	until(t, "ready", func() error { return status(url + "readyz") })
	return url, list, func(i int) { kills[i]() }
}

// TestStates holds that what happens to a plugin's process is on the screen within a
// second: the list, the details, and the events, without the mouse.
func TestStates(t *testing.T) {
	url, list, killed := plugins(t)
	tb := visit(t, url, 1440, 900)
	tb.shows("#link", "live")
	tb.shows("#plugins", "pluginzh 3/3 network gRPC v2", "store none ready", "0/1")
	tb.shows("#total-endpoints", "3 of 4 ready")
	tb.shows("#host-state", "ready")

	killed(1)
	began := time.Now()
	tb.shows("#plugins", "2 of 3 ready", "2/3")
	took := time.Since(began)
	t.Logf("a SIGKILL is in the list after %s", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("that is later than a second")
	}
	tb.shows("#detail", "failing", "connection to plugin lost")

	tb.do(chromedp.Click(chromedp.CSS(`#plugins a[href="#/plugins/pluginzh"]`)))
	tb.shows("#detail h2", "pluginzh")
	tb.shows(".endpoints", list[1], "failing", "connection refused", list[0], "ready", "gRPC v2")

	killed(0)
	killed(2)
	tb.shows("#detail .title", "none ready")
	tb.shows("#plugins .open", "none ready", "0/3")
	if title := eval[string](tb, "document.title"); title != "2 in trouble · basic" {
		t.Errorf("the title is %q", title)
	}
	replica(t, list[2])
	tb.shows("#detail .title", "1 of 3 ready")
	tb.shows(".endpoints", "ready", "attached 2 times")
}
