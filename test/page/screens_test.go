// SPDX-License-Identifier: MPL-2.0

package page

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/reattach/reattach/test/kit"
)

var shots = flag.String("shots", "", "directory for screenshots, whose hour of calls is made up")

// shot keeps what is on the screen, light and dark.
func (tb *tab) shot(name string) {
	tb.t.Helper()
	if *shots == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		tb.scheme(scheme)
		raw, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(*shots, name+"-"+scheme+".png"), raw, 0o644)
		}
		if err != nil {
			tb.t.Fatal(err)
		}
	}
}

// screens gives the address to look at for screenshots.
func screens(t *testing.T, url string) string {
	t.Helper()
	if *shots == "" {
		return url
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		t.Fatal(err)
	}
	return madeUp(t, url)
}

// TestStories holds what the screen says of a plugin that is killed, drained, rolled and
// refused.
func TestStories(t *testing.T) {
	needBrowser(t)
	dir := t.TempDir()
	child := filepath.Join(dir, "greeter-en.po")
	install := func(release string) {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(bin, "greeter-en.po"))
		if err == nil {
			err = os.WriteFile(child+".new", append(raw, release...), 0o755) // another file to whoever compares
		}
		if err == nil {
			err = os.Rename(child+".new", child)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	install("")
	list := kit.Addresses(t, 6)
	killed, drained := replica(t, list[0]), replica(t, list[1])
	replica(t, list[2])
	farm(t, list[3:4])
	farm(t, list[4:5], "FARM_COOKIE=another")
	url := host(t, "PLUGIN_DIR="+dir, fmt.Sprintf("NETWORK_PLUGIN=pluginzh=%s,pluginzh=%s,pluginzh=%s,pricing=%s,mail=%s,store=%s",
		list[0], list[1], list[2], list[3], list[4], list[5]), "REQUIRED_PLUGINS=pluginzh")
	until(t, "ready", func() error { return status(url + "readyz") })

	tb := visit(t, screens(t, url), 1440, 900)
	tb.shows("#plugins", "pluginzh 3/3", "greeter-en 1/1 child", "mail", "they were not made for each other") // refused
	tb.hash("#/plugins/mail")
	tb.shows(".endpoints", "refused")
	tb.shot("refused")

	tb.hash("#/")
	killed.End(syscall.SIGKILL)
	tb.shows("#detail", "pluginzh@"+list[0], "failing", "connection to plugin lost")
	drained.End(syscall.SIGTERM)
	tb.shows("#plugins", "1 of 3 ready for")
	tb.shows("#detail", "pluginzh@"+list[1], "the plugin is leaving")
	install("2")
	tb.shows("#detail", "greeter-en", "replaced by a new instance")
	tb.shot("overview")
	tb.hash("#/plugins/greeter-en")
	tb.shows("#detail", "replaced by a new instance")
	tb.shot("rolled")

	tb.hash("#/plugins/pluginzh")
	tb.shows(".endpoints", "failing", "connection refused", "ready", "left")
	tb.shows("#detail", "Probe walks to an endpoint")
	// Not since it was ready first, but since it is not as it should be.
	until(t, "since when", func() error {
		times := eval[[]string](tb, `[document.querySelector(".title time").dateTime,
			...[...document.querySelectorAll(".endpoints .row:has([data-look=bad]) time")].map(e => e.dateTime).sort()]`)
		if len(times) != 2 || times[0] != times[1] { // what has left is no failure
			return fmt.Errorf("the plugin, and its endpoints that fail: %q", times)
		}
		return nil
	})
	tb.do(chromedp.Click(chromedp.CSS(".endpoints .row:nth-child(1) .probe")))
	tb.shows(".hops", "RA03")
	tb.shot("killed")
	eval[bool](tb, `(document.querySelector("form").scrollIntoView({ block: "center" }), true)`)
	tb.do(chromedp.SendKeys(chromedp.CSS("form input"), "Ada\n"))
	tb.shows(".result", `"您好 Ada"`)
	tb.shot("call")
	eval[bool](tb, `(document.querySelector("#detail .events").scrollIntoView(), true)`)
	tb.shows("#detail .events", "the plugin is leaving")
	tb.shot("drained")
	tb.size(390, 844)
	eval[bool](tb, `(scrollTo(0, 0), true)`)
	tb.shot("narrow-plugin")
	tb.hash("#/")
	tb.shows("#detail", "All calls of the last hour")
	tb.shot("narrow")
}

// TestScreenOfMany keeps what 1,000 endpoints look like.
func TestScreenOfMany(t *testing.T) {
	if *shots == "" {
		t.Skip("no screenshots are asked for: make page")
	}
	needBrowser(t)
	list := kit.Addresses(t, 1000)
	farm(t, list[100:])
	few := farm(t, list[:100])
	url := host(t, manyPlugins(list))
	until(t, "ready", func() error { return status(url + "readyz") })
	tb := visit(t, screens(t, url), 1440, 900)
	tb.shows("#total-endpoints", "1,000")
	few.End(syscall.SIGKILL)
	tb.shows("#count-trouble", "100")
	tb.shot("many")
	tb.hash("#/plugins/ledger")
	tb.shows("#detail", "Show all 400 endpoints")
	tb.shot("many-plugin")
	tb.size(1920, 1080)
	tb.shot("many-wide")
}

// hash goes to a place of the page.
func (tb *tab) hash(to string) {
	tb.t.Helper()
	eval[string](tb, fmt.Sprintf("location.hash = %q", strings.TrimPrefix(to, "#")))
}
