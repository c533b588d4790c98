// SPDX-License-Identifier: MPL-2.0

package page

import (
	_ "embed"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed access.js
var access string

// TestAccess holds, in light and dark and at each width, what users of a screen reader, of
// the keyboard, and of tired eyes need: names for all that can be used, tables that are
// tables, and enough contrast.
func TestAccess(t *testing.T) {
	f := newFleet(t, "REQUIRED_PLUGINS=store")
	call(t, f.url, "pluginzh", "Greet", `["Ada"]`)
	f.kills[1]()
	tb := visit(t, f.url, 1440, 900)
	look := func(where string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			tb.scheme(scheme)
			found := eval[struct {
				Wrong  []string
				Texts  int
				Lowest float64
				Least  string
			}](tb, access)
			for _, w := range found.Wrong {
				t.Errorf("%s, %s: %s", where, scheme, w)
			}
			if found.Texts < 20 {
				t.Errorf("%s: only %d texts were looked at", where, found.Texts)
			}
			t.Logf("%s, %s: %d texts, the lowest contrast is %.2f, of %s", where, scheme, found.Texts, found.Lowest, found.Least)
		}
	}
	tb.shows("#detail", "failing", "The host is not ready")
	look("overview")
	tb.do(chromedp.Click(chromedp.CSS(`#plugins a[href="#/plugins/pluginzh"]`)))
	tb.shows("#detail", "failing")
	tb.do(chromedp.Click(chromedp.CSS(".endpoints .row:nth-child(1) .probe")), chromedp.Click(chromedp.CSS("form .main")))
	tb.shows(".hops", "RA03")
	tb.shows(".result", "您好")
	look("a plugin")
	tb.size(390, 844)
	look("a plugin, narrow")
	if wide := eval[int](tb, "document.documentElement.scrollWidth"); wide > 390 {
		t.Errorf("the page is %d wide in a window of 390", wide)
	}
}
