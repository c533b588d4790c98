// SPDX-License-Identifier: MPL-2.0

package page

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// manyPlugins gives NETWORK_PLUGIN for 1,000 endpoints: 600 plugins of one each, and one
// plugin of 400.
func manyPlugins(list []string) string {
	parts := make([]string, 0, len(list))
	for i, a := range list {
		name := fmt.Sprintf("%s-%d", []string{"audit", "billing", "catalog", "geo", "mail", "pricing", "render", "search", "stock", "tax"}[i%10], i/10)
		if i >= 600 {
			name = "ledger"
		}
		parts = append(parts, name+"="+a)
	}
	return "NETWORK_PLUGIN=" + strings.Join(parts, ",")
}

// watchTasks has the page note tasks that keep its user waiting: those of more than 50 ms.
const watchTasks = `window.longTasks = [];
new PerformanceObserver(l => l.getEntries().forEach(e => window.longTasks.push(e.duration))).observe({ type: "longtask", buffered: true });`

// worst is how many tasks took more than 50 ms since it was asked last, and the longest in
// milliseconds.
func (tb *tab) worst(t *testing.T, doing string) float64 {
	t.Helper()
	tasks := eval[[]float64](tb, `window.longTasks.splice(0)`)
	longest := 0.0
	for _, ms := range tasks {
		longest = max(longest, ms)
	}
	t.Logf("%s: %d tasks of more than 50 ms, the longest of %.0f ms", doing, len(tasks), longest)
	return longest
}

// TestMany: with 1,000 endpoints, no task keeps the user waiting for half a second,
// whether they come, all die, or are looked through. Host, plugins and browser share the
// machine in this test, and whatever else runs there; what was measured is logged.
func TestMany(t *testing.T) {
	needBrowser(t)
	const most = 500 // ms
	list := addresses(t, 1000)
	cmd := farm(t, list)
	url := host(t, manyPlugins(list))
	until(t, "ready", func() error { return status(url + "readyz") })
	tb := visit(t, "about:blank", 1440, 900)
	tb.from(url)
	command(tb, page.Enable, page.EnableParams{})
	command(tb, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchTasks})
	began := time.Now()
	tb.do(chromedp.Navigate(url))
	tb.shows("#total-plugins", "601")
	tb.shows("#total-endpoints", "1,000")
	tb.shows("#count-all", "601")
	t.Logf("all are on the screen after %s", time.Since(began).Round(time.Millisecond))
	if ms := tb.worst(t, "the page comes"); ms > most {
		t.Errorf("a task took %.0f ms", ms)
	}

	eval[bool](tb, `(f => { f.value = "ledger"; f.dispatchEvent(new Event("input")); return true })(document.querySelector("#filter"))`)
	tb.shows("#plugins .body", "ledger 400/400")
	eval[bool](tb, `(f => { f.value = ""; f.dispatchEvent(new Event("input")); return true })(document.querySelector("#filter"))`)
	eval[bool](tb, `(document.querySelectorAll(".head button")[1].click(), document.querySelectorAll(".head button")[1].click(), true)`)
	for range 20 {
		eval[bool](tb, `(document.querySelector("#list").scrollBy(0, 1500), true)`)
	}
	tb.shows("#plugins .body", "tax-59")
	if ms := tb.worst(t, "the list is filtered, ordered and looked through"); ms > most {
		t.Errorf("a task took %.0f ms", ms)
	}

	eval[string](tb, `location.hash = "#/plugins/ledger"`)
	tb.shows("#detail", "Show all 400 endpoints")
	eval[bool](tb, `(document.querySelector(".endpoints + button").click(), true)`)
	until(t, "400 rows", func() error {
		if n := eval[int](tb, `document.querySelectorAll(".endpoints .body .row").length`); n != 400 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if ms := tb.worst(t, "400 endpoints are opened"); ms > most {
		t.Errorf("a task took %.0f ms", ms)
	}

	began = time.Now()
	kill(cmd, syscall.SIGKILL)
	tb.shows("#total-endpoints", "0 of 1,000 ready")
	tb.shows("#count-trouble", "601")
	t.Logf("that all have died is on the screen after %s", time.Since(began).Round(time.Millisecond))
	if ms := tb.worst(t, "all die"); ms > most {
		t.Errorf("a task took %.0f ms", ms)
	}
	farm(t, list)
	tb.shows("#total-endpoints", "1,000")
	tb.shows("#count-trouble", "0")
	if ms := tb.worst(t, "all come back"); ms > most {
		t.Errorf("a task took %.0f ms", ms)
	}
}
