// SPDX-License-Identifier: MPL-2.0

package page

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/reattach/reattach/test/kit"
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

// work logs the tasks of more than 50 ms since it was asked last, and gives how long the
// page's thread has worked since, in seconds of processor time: what else runs on the
// machine does not count.
func (tb *tab) work(t *testing.T, doing string) float64 {
	t.Helper()
	tasks := eval[[]float64](tb, `window.longTasks.splice(0)`)
	longest := 0.0
	for _, ms := range tasks {
		longest = max(longest, ms)
	}
	was := tb.worked
	for _, m := range command(tb, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "TaskDuration" {
			tb.worked = m.Value
		}
	}
	t.Logf("%s: %.0f ms of work; %d tasks of more than 50 ms on the clock, the longest of %.0f ms", doing, 1000*(tb.worked-was), len(tasks), longest)
	return tb.worked - was
}

// TestMany: what 1,000 endpoints cost the page when they come, all die, and are looked
// through. The bounds are several times what an idle machine needs.
func TestMany(t *testing.T) {
	needBrowser(t)
	list := kit.Addresses(t, 1000)
	cmd := farm(t, list)
	url := host(t, manyPlugins(list))
	until(t, "ready", func() error { return status(url + "readyz") })
	tb := visit(t, "about:blank", 1440, 900)
	tb.from(url)
	command(tb, page.Enable, page.EnableParams{})
	command(tb, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	bound := func(worked, most float64) {
		t.Helper()
		if worked > most {
			t.Errorf("that is more than %.1f s", most)
		}
	}
	command(tb, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchTasks})
	began := time.Now()
	tb.do(chromedp.Navigate(url))
	tb.shows("#total-plugins", "601")
	tb.shows("#total-endpoints", "1,000")
	tb.shows("#count-all", "601")
	t.Logf("all are on the screen after %s", time.Since(began).Round(time.Millisecond))
	bound(tb.work(t, "the page comes"), 1.5)

	eval[bool](tb, `(f => { f.value = "ledger"; f.dispatchEvent(new Event("input")); return true })(document.querySelector("#filter"))`)
	tb.shows("#plugins .body", "ledger 400/400")
	eval[bool](tb, `(f => { f.value = ""; f.dispatchEvent(new Event("input")); return true })(document.querySelector("#filter"))`)
	eval[bool](tb, `(document.querySelectorAll(".head button")[1].click(), document.querySelectorAll(".head button")[1].click(), true)`)
	for range 20 {
		eval[bool](tb, `(document.querySelector("#list").scrollBy(0, 1500), true)`)
	}
	tb.shows("#plugins .body", "tax-59")
	bound(tb.work(t, "the list is filtered, ordered and looked through"), 1.5)

	eval[string](tb, `location.hash = "#/plugins/ledger"`)
	tb.shows("#detail", "Show all 400 endpoints")
	eval[bool](tb, `(document.querySelector(".endpoints + button").click(), true)`)
	until(t, "400 rows", func() error {
		if n := eval[int](tb, `document.querySelectorAll(".endpoints .body .row").length`); n != 400 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	bound(tb.work(t, "400 endpoints are opened"), 1.5)

	began = time.Now()
	cmd.End(syscall.SIGKILL)
	tb.shows("#total-endpoints", "0 of 1,000 ready")
	tb.shows("#count-trouble", "601")
	t.Logf("that all have died is on the screen after %s", time.Since(began).Round(time.Millisecond))
	bound(tb.work(t, "all die"), 3)
	farm(t, list)
	tb.shows("#total-endpoints", "1,000")
	tb.shows("#count-trouble", "0")
	bound(tb.work(t, "all come back"), 4)
}
